"""Reads exposures from FITS: the project's own layout, Rubin's masked images, and the cutouts of alerts.

docs/forced-photometry.md describes what must be in a file.
"""

import io
import itertools
import math
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits

# astropy exports it nowhere else.
from astropy.io.fits.hdu.compressed._compression import CfitsioException
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, InvalidTransformError, SingularMatrixError, WcsError

from stream_assoc.photometry.calibration import nJy_per_count, variance_of
from stream_assoc.photometry.celestial import frame_of
from stream_assoc.photometry.exceptions import ImageDamagedError, ImageTooLargeError, ImageUnreadableError
from stream_assoc.photometry.exposure import Exposure, VisitInfo
from stream_assoc.photometry.fits_bounds import MAX_EXTENSIONS, check_bounds
from stream_assoc.photometry.image_bytes import Allowance, decompressed
from stream_assoc.photometry.psf import ConstantPsf, GriddedPsf, Psf

_PLANE_PREFIX: Final = "MP_"
_DAMAGE: Final = (
    ArithmeticError,
    AstropyWarning,
    CfitsioException,
    AssertionError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    fits.VerifyError,
)
"""What astropy raises, as flipping bytes has shown, for bytes that are no FITS file or not all of one."""

_IMAGES: Final = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


def read_payload(payload: bytes, name: str = "cutout", allowance: Allowance | None = None) -> Exposure:
    """Return the exposure in the bytes of a file, such as a cutout of a Rubin alert.

    Parameters
    ----------
    payload : `bytes`
        A whole file, compressed or not: one that was fetched, or one of
        ``cutoutDifference``, ``cutoutScience`` and ``cutoutTemplate``.
    name : `str`, optional
        What a message calls it.
    allowance : `~stream_assoc.photometry.image_bytes.Allowance`, optional
        How large it may be, decompressed, and until when.

    Raises
    ------
    ImageError
        If it holds no complete exposure.
    """
    allowance = allowance or Allowance()
    content = decompressed(payload, name, allowance)
    try:
        with warnings.catch_warnings():
            # A file that deviates in its header only is read; one that is too short is not.
            warnings.simplefilter("ignore", AstropyWarning)
            warnings.filterwarnings("error", message=".*truncated.*")
            check_bounds(content, name, allowance)
            with fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=True) as hdus:
                return _exposure(list(itertools.islice(hdus, MAX_EXTENSIONS)))
    except ImageUnreadableError as error:
        raise type(error)(f"the image {name!r} is of no use: {error}") from error
    except MemoryError as error:
        raise ImageTooLargeError(
            f"the image {name!r} takes more memory than there is; make it smaller, or lower images.max_bytes"
        ) from error
    except _DAMAGE as error:
        raise ImageDamagedError(
            f"the image {name!r} is damaged or no FITS file ({type(error).__name__}: {error}); write it again, "
            "under another name first so that nobody reads half of it"
        ) from error


def _exposure(hdus: list[fits.ImageHDU]) -> Exposure:
    named = {_name(hdu): hdu for hdu in hdus if isinstance(hdu, _IMAGES) and math.prod(hdu.shape or (0,)) > 0}
    if "PSFIMAGE" in named and "IMAGE" not in named:
        image, variance, psf = hdus[0], _part(named, "UNCERT"), named["PSFIMAGE"]
    else:
        image, variance, psf = (_part(named, part) for part in ("IMAGE", "VARIANCE", "PSF"))
    mask = named.get("MASK")
    pixels = _pixels(image)
    return Exposure(
        image=pixels,
        variance=variance_of(_pixels(variance), variance.header, image.header),
        mask=np.zeros(pixels.shape, np.int32) if mask is None else _mask(mask),
        mask_planes={} if mask is None else _planes(mask.header),
        wcs=_wcs(image.header),
        psf=_psf(psf),
        nJy_per_count=nJy_per_count(image.header, hdus[0].header),
        visit_info=_visit_info(hdus[0].header),
        origin=(_first(image.header, 1), _first(image.header, 2)),
    )


def _name(hdu: fits.ImageHDU) -> str:
    """Return what an extension is; afw wrote EXTTYPE before it wrote EXTNAME."""
    return str(hdu.header.get("EXTNAME") or hdu.header.get("EXTTYPE", "")).strip().upper()


def _part(named: dict[str, fits.ImageHDU], part: str) -> fits.ImageHDU:
    if part not in named:
        raise ImageUnreadableError(
            f"it has no extension {part} with an image, only {', '.join(filter(None, named)) or 'none'}; see "
            "docs/forced-photometry.md for what a file must hold"
        )
    return named[part]


def _pixels(hdu: fits.ImageHDU) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(hdu.data, dtype=np.float32)


def _mask(hdu: fits.ImageHDU) -> npt.NDArray[np.int32]:
    if not np.issubdtype(hdu.data.dtype, np.integer) or hdu.data.dtype.itemsize > 4:
        raise ImageUnreadableError(f"MASK holds {hdu.data.dtype.name}; write integers of 32 bits or fewer")
    return np.ascontiguousarray(hdu.data.astype(np.uint32)).view(np.int32)


def _planes(header: fits.Header) -> dict[str, int]:
    return {key.removeprefix(_PLANE_PREFIX): int(header[key]) for key in header if key.startswith(_PLANE_PREFIX)}


def _wcs(header: fits.Header) -> WCS:
    cards = header.copy()
    if "CRVAL1" in cards and not {"CTYPE1", "CTYPE2"} & {*cards}:
        # Rubin's alerts leave it out.
        cards["CTYPE1"], cards["CTYPE2"] = "RA---TAN", "DEC--TAN"
    try:
        wcs = WCS(cards)
        frame_of(wcs)
        centre = 0.5 * (header["NAXIS1"] - 1), 0.5 * (header["NAXIS2"] - 1)
        if not np.isfinite(wcs.all_pix2world([centre], 0)).all():
            raise ImageUnreadableError("its WCS gives the centre of the image no position")
    except (WcsError, InvalidTransformError, SingularMatrixError) as error:
        raise ImageUnreadableError(f"its WCS cannot be used: {' '.join(str(error).split())}") from error
    return wcs


def _first(header: fits.Header, axis: int) -> int:
    """Return the position of the first pixel along an axis, as afw writes it, or `lsst-images`."""
    if f"LTV{axis}" in header:
        return -round(float(header[f"LTV{axis}"]))
    if header.get(f"CTYPE{axis}A") == "LINEAR":
        return round(float(header[f"CRVAL{axis}A"]) + 1.0 - float(header.get(f"CRPIX{axis}A", 1.0)))
    return 0


def _psf(hdu: fits.ImageHDU) -> Psf:
    if hdu.data.ndim == 2:
        return ConstantPsf.of(hdu.data)
    header = hdu.header
    if not {"GRIDNX", "GRIDNY"} <= {*header}:
        raise ImageUnreadableError("PSF holds several images but no GRIDNX and GRIDNY; see docs/forced-photometry.md")
    if int(header["GRIDNX"]) * int(header["GRIDNY"]) != len(hdu.data) or int(header["GRIDNX"]) < 1:
        raise ImageUnreadableError(
            f"PSF holds {len(hdu.data)} images for a grid of {header['GRIDNX']} x {header['GRIDNY']} nodes"
        )
    x, y = (
        float(header[f"GRID{axis}0"]) + float(header[f"GRIDD{axis}"]) * np.arange(int(header[f"GRIDN{axis}"]))
        for axis in ("X", "Y")
    )
    return GriddedPsf.of(hdu.data, x, y)


def _visit_info(header: fits.Header) -> VisitInfo:
    visit, detector = header.get("VISIT"), header.get("DETECTOR")
    return VisitInfo(
        None if visit is None else int(visit), None if detector is None else int(detector), header.get("BAND")
    )
