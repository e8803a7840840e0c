"""What a file holds is read as it was written; what nobody can measure on is told from the rest."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError
from stream_assoc.photometry.exceptions import ImageUnreadableError
from stream_assoc.photometry.exposure import VisitInfo
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.measurement import Flag, measure
from stream_assoc.pipeline.exceptions import ImageError
from tests.photometry.skies import gaussian_psf, image_at, read_exposure, sky, star

SHAPE = (60, 80)
X, Y, FLUX = 41.3, 28.8, 750.0
N_CORRUPT_FILES = 200
PSF = gaussian_psf(size=31).images[0]


def layout():
    """Return an exposure in the project's own layout, one star on it."""
    header = sky().to_header()
    header["BUNIT"] = "nJy"
    primary = fits.PrimaryHDU()
    primary.header.update(VISIT=2026030900027, DETECTOR=88, BAND="g")
    mask = fits.ImageHDU(np.zeros(SHAPE, np.int32), name="MASK")
    mask.header.update({"HIERARCH MP_BAD": 0, "HIERARCH MP_NO_DATA": 8})
    mask.data[0, :5] = 1 << 8
    return fits.HDUList(
        [
            primary,
            fits.ImageHDU(FLUX * star([X], [Y], SHAPE)[0].astype(np.float32), header, name="IMAGE"),
            mask,
            fits.ImageHDU(np.full(SHAPE, 4.0, np.float32), name="VARIANCE"),
            fits.ImageHDU(PSF, name="PSF"),
        ]
    )


def payload(hdus):
    buffer = io.BytesIO()
    hdus.writeto(buffer)
    return buffer.getvalue()


def measured(exposure):
    return measure(exposure, np.array([X]), np.array([Y])).flux[0]


@pytest.fixture
def written(tmp_path: Path):
    def write(hdus):
        content = hdus if isinstance(hdus, bytes) else payload(hdus)
        (tmp_path / "image.fits").write_bytes(content)
        return str(tmp_path / "image.fits")

    return write


def test_our_own_layout(written) -> None:
    exposure = read_exposure(written(layout()))
    assert exposure.visit_info == VisitInfo(2026030900027, 88, "g")
    assert exposure.mask_planes == {"BAD": 0, "NO_DATA": 8}
    assert exposure.image.dtype == exposure.variance.dtype == np.dtype("=f4")
    assert measured(exposure) == pytest.approx(FLUX, rel=1e-4)
    ra, dec = sky().all_pix2world([X], [Y], 0)
    x, y = exposure.pixels_of(ra, dec)
    assert x == pytest.approx([X])
    assert y == pytest.approx([Y])
    assert measure(exposure, np.array([2.0]), np.array([0.0])).flags == Flag.EDGE | Flag.BAD_PIXELS


def test_rubins_masked_image_with_a_psf_added(written) -> None:
    """As afw writes it: EXTTYPE for EXTNAME, compressed pixels, counts with a zero point, the origin in LTV."""
    hdus = layout()
    for hdu in hdus[1:]:
        hdu.header["EXTTYPE"] = hdu.header.pop("EXTNAME")
        hdu.header.update(LTV1=-2000, LTV2=-1000)
    hdus[0].header["FLUXMAG0"] = 3631e9 / 2.5
    del hdus[1].header["BUNIT"]
    hdus[2] = fits.CompImageHDU(hdus[2].data, hdus[2].header)
    exposure = read_exposure(written(hdus))
    assert exposure.mask_planes == {"BAD": 0, "NO_DATA": 8}
    assert exposure.origin == (2000, 1000)
    assert measured(exposure) == pytest.approx(2.5 * FLUX, rel=1e-4)


def test_the_origin_as_lsst_images_writes_it(written) -> None:
    hdus = layout()
    assert read_exposure(written(hdus)).origin == (0, 0)
    for axis, first in ((1, -30.0), (2, 12.0)):
        hdus["IMAGE"].header.update({f"CTYPE{axis}A": "LINEAR", f"CRPIX{axis}A": 1.0, f"CRVAL{axis}A": first})
    assert read_exposure(written(hdus)).origin == (-30, 12)


@pytest.mark.parametrize("first", [1e300, "left", 2.0**40])
def test_an_origin_that_no_image_has(written, first: float | str) -> None:
    hdus = layout()
    hdus["IMAGE"].header["LTV1"] = first
    with pytest.raises(ImageUnreadableError):
        read_exposure(written(hdus))


@pytest.mark.parametrize(("cards", "scale"), [({"NJYPERCT": 3.0}, 3.0), ({"BUNIT": "NJY"}, 1.0)])
def test_calibrations(written, cards: dict[str, float] | dict[str, str], scale: float) -> None:
    hdus = layout()
    del hdus["IMAGE"].header["BUNIT"]
    hdus["IMAGE"].header.update(cards)
    assert read_exposure(written(hdus)).nJy_per_count == scale


def test_a_file_without_a_mask_has_no_planes(written) -> None:
    hdus = layout()
    del hdus["MASK"]
    assert read_exposure(written(hdus)).mask_planes == {}


def test_a_psf_on_a_grid(written) -> None:
    hdus = layout()
    wide = gaussian_psf(2.5, 31).images[0]
    hdus["PSF"].data = np.stack([PSF, wide, PSF, wide, PSF, wide])
    grid = {"GRIDNX": 2, "GRIDX0": 10.0, "GRIDDX": 60.0, "GRIDNY": 3, "GRIDY0": 0.0, "GRIDDY": 25.0}
    hdus["PSF"].header.update(grid)
    psf = read_exposure(written(hdus)).psf
    assert image_at(psf, 25.0, 30.0) == pytest.approx(0.75 * PSF + 0.25 * wide)


def cutout():
    primary = fits.PrimaryHDU(layout()["IMAGE"].data, sky().to_header())
    del primary.header["CTYPE*"]
    primary.header["BUNIT"] = "nJy"
    variance = fits.ImageHDU(layout()["VARIANCE"].data, name="UNCERT")
    return fits.HDUList([primary, variance, fits.ImageHDU(PSF, name="PSFIMAGE")])


def test_cutouts_of_alerts_are_in_a_tangent_projection() -> None:
    exposure = read_payload(payload(cutout()))
    assert list(exposure.wcs.wcs.ctype) == ["RA---TAN", "DEC--TAN"]
    assert measured(exposure) == pytest.approx(FLUX, rel=1e-4)


def test_what_is_wrong_with_an_image_is_nobody_elses_business() -> None:
    assert issubclass(ImageUnreadableError, ImageError)
    assert not issubclass(ImageUnreadableError, (RetriableError, PoisonError, FatalError))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadableError, match=r"none\.fits.*cannot be opened: No such file"):
        read_exposure(str(tmp_path / "none.fits"))
    with pytest.raises(ImageUnreadableError, match="Is a directory"):
        read_exposure(str(tmp_path))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_truncated_files(written, share: float) -> None:
    whole = payload(layout())
    with pytest.raises(ImageUnreadableError, match=r"image\.fits"):
        read_exposure(written(whole[: int(share * len(whole))]))


@pytest.mark.parametrize("content", [b"no FITS at all" * 1000, bytes(100_000), b"SIMPLE  =" + bytes(5000)])
def test_other_files(written, content) -> None:
    with pytest.raises(ImageUnreadableError, match="damaged or no FITS file"):
        read_exposure(written(content))


def test_corrupt_files(written) -> None:
    """Whatever byte of a header is changed, the file is read or refused, and nothing else happens."""
    files, rng = (bytearray(payload(layout())), bytearray(compressed())), np.random.default_rng(7)
    refused = 0
    for number in range(N_CORRUPT_FILES):
        damaged = files[number % 2].copy()
        for position in rng.integers(0, 5760, 3):
            damaged[position] = rng.choice(np.frombuffer(b"0123456789-+.TFE'\x00\xff", np.uint8))
        try:
            read_exposure(written(bytes(damaged)))
        except ImageUnreadableError:
            refused += 1
    assert 0 < refused < N_CORRUPT_FILES


def with_card(content, keyword, value):
    """Return a file whose first card of this name has another value."""
    begin = content.index(f"{keyword:<8}=".encode())
    return content[: begin + 10] + f"{value:>20}".encode() + content[begin + 30 :]


def compressed():
    hdus = layout()
    hdus[1] = fits.CompImageHDU(hdus["IMAGE"].data, hdus["IMAGE"].header, name="IMAGE")
    return payload(hdus)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_card(payload(layout()), "NAXIS1", 10**9), "damaged"),
        (with_card(payload(layout()), "NAXIS1", -80), "no extension IMAGE|extensions|damaged"),
        (with_card(payload(layout()), "NAXIS2", "-     60"), "no extension IMAGE|extensions|damaged"),
        (with_card(with_card(compressed(), "ZNAXIS1", 10**6), "ZNAXIS2", 10**6), "at most 134217728 are read"),
    ],
    ids=["too large", "negative", "endless", "compressed"],
)
def test_sizes_that_cannot_be(written, content, message: str) -> None:
    """One of them leads astropy in a circle, another would take all memory there is."""
    with pytest.raises(ImageUnreadableError, match=message):
        read_exposure(written(content))


def without_wcs(hdus) -> None:
    for card in ("CTYPE*", "CRVAL*", "CRPIX*", "PC?_?", "CDELT*"):
        del hdus["IMAGE"].header[card]


def linear_wcs(hdus) -> None:
    hdus["IMAGE"].header.update(CTYPE1="LINEAR", CTYPE2="LINEAR")


def singular_wcs(hdus) -> None:
    hdus["IMAGE"].header.update(PC1_1=0.0, PC1_2=0.0, PC2_1=0.0, PC2_2=0.0)


def without(part):
    def remove(hdus) -> None:
        del hdus[part]

    remove.__name__ = f"without_{part}"
    return remove


def uncalibrated(hdus) -> None:
    del hdus["IMAGE"].header["BUNIT"]


def negative_calibration(hdus) -> None:
    uncalibrated(hdus)
    hdus["IMAGE"].header["NJYPERCT"] = -1.0


def no_number(hdus) -> None:
    uncalibrated(hdus)
    hdus["IMAGE"].header["NJYPERCT"] = "one"


def no_zero_point(hdus) -> None:
    uncalibrated(hdus)
    hdus["IMAGE"].header["FLUXMAG0"] = 0.0


def other_shape(hdus) -> None:
    hdus["VARIANCE"].data = np.ones((3, 3), np.float32)


def cube(hdus) -> None:
    hdus["IMAGE"].data = np.ones((2, *SHAPE), np.float32)


def mask_of_floats(hdus) -> None:
    hdus["MASK"].data = np.zeros(SHAPE, np.float32)


def even_psf(hdus) -> None:
    hdus["PSF"].data = np.ones((30, 30))


def ungridded_psf(hdus) -> None:
    hdus["PSF"].data = np.stack([PSF, PSF])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_wcs, "no WCS that leads to the sky; write CTYPE"),
        (linear_wcs, "no WCS that leads to the sky"),
        (singular_wcs, "WCS cannot be used"),
        (without("IMAGE"), "no extension IMAGE"),
        (without("VARIANCE"), "no extension VARIANCE"),
        (without("PSF"), "no extension PSF.*forced-photometry"),
        (uncalibrated, "photometric calibration; write BUNIT"),
        (negative_calibration, "positive number of nJy"),
        (no_number, "damaged"),
        (no_zero_point, "FLUXMAG0"),
        (other_shape, "one shape"),
        (cube, "WCS|one shape"),
        (mask_of_floats, "MASK holds float32"),
        (even_psf, "odd number"),
        (ungridded_psf, "GRIDNX"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_incomplete_images(written, spoil, message: str) -> None:
    hdus = layout()
    spoil(hdus)
    with pytest.raises(ImageUnreadableError, match=message) as caught:
        read_exposure(written(hdus))
    assert "image.fits" in str(caught.value)
