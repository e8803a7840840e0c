"""The headers of a cutout, made by astropy once for each size, with places for what differs between sources.

The layout is that of the cutouts that Rubin publishes: the image in nJy, its
variance as UNCERT, the PSF as PSFIMAGE. Theirs lack CTYPE, so that astropy
takes their WCS for a linear one; ours say TAN.
"""

import functools
from typing import Final

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

BLOCK_BYTES: Final = 2880
"""Headers and data of a FITS file take whole blocks."""

_PLACES: Final = {
    "CUTMINX": b"%20d",
    "CUTMINY": b"%20d",
    "CRPIX1": b"%20.12f",
    "CRPIX2": b"%20.12f",
    "PC1_1": b"%20.13E",
    "PC1_2": b"%20.13E",
    "PC2_1": b"%20.13E",
    "PC2_2": b"%20.13E",
    "CRVAL1": b"%20.12f",
    "CRVAL2": b"%20.12f",
}
"""The cards that differ, in order, and how their values fill the 20 columns from the 11th on."""


def blocks(n_bytes: int) -> int:
    """Return the bytes of the blocks that so many bytes take."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


@functools.cache
def image_header(size: int) -> bytes:
    """Return the primary header of a cutout of so many pixels a side.

    It is a format for the ``%`` operator, whose values are those of CUTMINX,
    CUTMINY, CRPIX1, CRPIX2, PC1_1, PC1_2, PC2_1, PC2_2, CRVAL1, CRVAL2. None
    of them changes its length of one block, as long as magnitudes stay
    between 1e-99 and 1e6 or are zero.
    """
    hdu = fits.PrimaryHDU(np.zeros((size, size), np.float32))
    hdu.header.update(CUTMINX=0, CUTMINY=0, BUNIT="nJy")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.radesys = "ICRS"
    # Any numbers but those that astropy would leave out.
    wcs.wcs.crpix = wcs.wcs.crval = [15.5, 15.5]
    wcs.wcs.pc = [[0.5, 0.25], [0.25, 0.5]]
    hdu.header.update(wcs.to_header())
    hdu.header["LATPOLE"] = 90.0
    header = _padded(hdu.header)
    for keyword, place in _PLACES.items():
        begin = header.index(keyword.ljust(8).encode() + b"= ") + 10
        header = header[:begin] + place + header[begin + 20 :]
    return header


@functools.cache
def variance_header(size: int) -> bytes:
    """Return the header of the variance of a cutout of so many pixels a side, one block."""
    hdu = fits.ImageHDU(np.zeros((size, size), np.float32))
    hdu.header["UTYPE"] = "VarianceUncertainty"
    hdu.header["EXTNAME"] = ("UNCERT", "extension name")
    return _padded(hdu.header)


@functools.lru_cache(maxsize=16)
def psf_header(size: int) -> bytes:
    """Return the header of the image of a PSF of so many pixels a side, one block."""
    hdu = fits.ImageHDU(np.zeros((size, size), np.float64))
    hdu.header["EXTNAME"] = ("PSFIMAGE", "extension name")
    return _padded(hdu.header)


def _padded(header: fits.Header) -> bytes:
    text: str = header.tostring(padding=True)
    return text.encode("ascii")
