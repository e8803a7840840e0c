"""Cutouts as astropy reads them, pixel by pixel against the image that they were cut from."""

import io
import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from stream_assoc.photometry.cutouts.boxes import Sources, boxes_of
from stream_assoc.photometry.cutouts.files import written
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.measurement import measure
from stream_assoc.photometry.psf import GriddedPsf
from tests.photometry.skies import exposure, gaussian_psf, image_at, sky, star

SHAPE = (150, 160)
X = np.array([80.3, 3.0, 155.8, 40.0, 500.0, 70.9])
Y = np.array([70.6, 4.4, 148.9, 149.0, 70.0, 60.1])
SIZES = np.array([30, 31, 102, 45, 30, 102])
ON_IMAGE = [0, 1, 2, 3, 5]


def image(**changes) -> Exposure:
    random = np.random.default_rng(5)
    one = exposure(random.normal(0.0, 100.0, SHAPE), random.uniform(1.0, 4.0, SHAPE))
    return replace(one, **changes)


def sources(one: Exposure) -> Sources:
    ra, dec = one.wcs.all_pix2world(X, Y, 0)
    return Sources(ra, dec, X + one.origin[0], Y + one.origin[1], SIZES)


def cut(one: Exposure) -> pa.LargeBinaryArray:
    files = written(one, boxes_of(one, sources(one)), sources(one))
    files.validate(full=True)
    return files


def opened(file: pa.LargeBinaryScalar) -> fits.HDUList:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyWarning)
        hdus = fits.open(io.BytesIO(file.as_py()))
        hdus.verify("exception")
    return hdus


def padded(pixels, outside, source: int):
    """Return what a cutout shows, cut from an image that is larger on all sides."""
    size = SIZES[source]
    wide = np.pad(pixels, size, constant_values=outside)
    left, below = (int(np.floor(centre[source] - 0.5 * size + 1.0)) + size for centre in (X, Y))
    return wide[below : below + size, left : left + size]


def test_every_pixel_is_that_of_the_image() -> None:
    one = image()
    files = cut(one)
    assert files.is_valid().to_pylist() == [source in ON_IMAGE for source in range(len(X))]
    for source in ON_IMAGE:
        primary, variance, psf = opened(files[source])
        assert [primary.name, variance.name, psf.name] == ["PRIMARY", "UNCERT", "PSFIMAGE"]
        assert np.array_equal(primary.data, padded(one.image, np.nan, source), equal_nan=True)
        assert np.array_equal(variance.data, padded(one.variance, np.inf, source))
        assert np.array_equal(psf.data, one.psf.images[0])
        assert [hdu.data.dtype.str for hdu in (primary, variance, psf)] == [">f4", ">f4", ">f8"]


def test_counts_become_nanojanskys() -> None:
    (counts, unit), (nJy, _) = ([opened(cut(image(nJy_per_count=worth))[0]), worth] for worth in (1.0, 2.5))
    assert nJy[0].header["BUNIT"] == "nJy"
    assert np.array_equal(nJy[0].data, np.float32(2.5) * counts[0].data)
    assert np.array_equal(nJy[1].data, np.float32(6.25) * counts[1].data)
    assert unit == 1.0


@pytest.mark.parametrize("origin", [(0, 0), (2000, -30)])
def test_the_header_says_where_the_cutout_lies(origin: tuple[int, int]) -> None:
    one = image(origin=origin)
    for source in ON_IMAGE:
        header = opened(cut(one)[source])[0].header
        # As with Rubin's, whose x - CUTMINX counts from one.
        assert X[source] + origin[0] - header["CUTMINX"] == pytest.approx(header["CRPIX1"], abs=1e-9)
        assert Y[source] + origin[1] - header["CUTMINY"] == pytest.approx(header["CRPIX2"], abs=1e-9)


@pytest.mark.parametrize("crval", [(150.0, 2.0), (0.0, -42.8), (359.99, 89.9), (12.3, -89.99)])
def test_the_sky_lands_on_its_pixel(crval: tuple[float, float]) -> None:
    one = image(wcs=sky(crval, crpix=(75.0, 80.0)))
    where, files, boxes = sources(one), cut(one), boxes_of(one, sources(one))
    for source, left, below in zip(boxes.source, boxes.left, boxes.below, strict=True):
        wcs = WCS(opened(files[source])[0].header)
        assert list(wcs.wcs.ctype) == ["RA---TAN", "DEC--TAN"]
        x, y = wcs.all_world2pix(where.ra[source], where.dec[source], 0)
        assert (x, y) == pytest.approx((X[source] - left, Y[source] - below), abs=1e-6)
        corner = one.wcs.all_pix2world([[left, below]], 0)
        assert wcs.all_world2pix(corner, 0)[0] == pytest.approx((0.0, 0.0), abs=1e-4)


def test_a_matrix_without_a_rotation_fits_its_cards() -> None:
    straight = WCS(naxis=2)
    straight.wcs.ctype, straight.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, 0.0]
    straight.wcs.crpix, straight.wcs.cdelt = [X[0] + 1.0, Y[0] + 1.0], [-1e-5, 1e-5]
    header = opened(cut(image(wcs=straight))[0])[0].header
    assert (header["PC1_1"], header["PC1_2"]) == pytest.approx((-1e-5, 0.0), rel=1e-7, abs=1e-12)
    assert header["CRVAL2"] == 0.0


def test_a_matrix_of_almost_zero_fits_its_cards_too() -> None:
    one = image()
    boxes = boxes_of(one, sources(one))
    boxes.matrix[:, 0, 1] = -1e-120
    header = opened(written(one, boxes, sources(one))[0])[0].header
    assert header["PC1_2"] == 0.0
    assert "PC2_1" in header


def test_the_psf_is_that_at_the_source() -> None:
    nodes = [gaussian_psf(width, 21).images[0] for width in (1.5, 2.0, 2.5, 3.0)]
    psf = GriddedPsf.of(nodes, [0.0, 159.0], [0.0, 149.0])
    one = image(psf=psf)
    for source in ON_IMAGE:
        assert opened(cut(one)[source])[2].data == pytest.approx(image_at(psf, X[source], Y[source]), abs=1e-12)


def test_readers_get_what_they_expect() -> None:
    shown = 5_000.0 * star([X[0]], [Y[0]], SHAPE)[0]
    one = exposure(shown, np.full(SHAPE, 4.0))
    file = cut(one)[0].as_py()
    ccd = CCDData.read(io.BytesIO(file), format="fits")
    assert isinstance(ccd.uncertainty, VarianceUncertainty)
    assert ccd.unit == "nJy"
    assert ccd.psf is not None
    again = read_payload(file)
    where = sources(one)
    fluxes = measure(again, *again.pixels_of(where.ra[:1], where.dec[:1]))
    assert fluxes.flux == pytest.approx(measure(one, X[:1], Y[:1]).flux, rel=1e-6)
    assert fluxes.flags == 0


def test_no_source_on_the_image_gives_nulls_only() -> None:
    one = image()
    away = replace(sources(one), ra=np.full(len(X), 30.0))
    files = written(one, boxes_of(one, away), away)
    assert files.null_count == len(files) == len(X)
    empty = np.empty(0)
    none = Sources(empty, empty, empty, empty, np.empty(0, np.int64))
    assert len(written(one, boxes_of(one, none), none)) == 0
