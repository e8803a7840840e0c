"""From the files that a batch names to rows of the DiaForcedSource table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from stream_assoc.core.model.batch import Batch, BatchId, ImageUris
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.photometry.exceptions import ImageMismatchError, ImageMissingError, ImageRefusedError
from stream_assoc.photometry.image_store import ImageStore
from stream_assoc.photometry.photometer import ImagePhotometer
from stream_assoc.pipeline.ports.photometry import no_forced_sources
from tests.photometry.skies import gaussian_psf, sky, star
from tests.pipeline.skies import batch

SHAPE = (100, 120)
X, Y = np.array([40.3, 80.8, 500.0]), np.array([50.7, 33.1, 50.0])
FLUX = np.array([700.0, -300.0])
NOW = 62_000.0


def catalogue(x, y):
    ra, dec = sky().all_pix2world(x, y, 0)
    unknown = np.full(len(ra), np.nan, np.float32)
    return ObjectPositions(
        2**60 + np.arange(len(ra)), ra, dec, unknown, unknown, np.zeros(len(ra)), np.ones(len(ra), np.int32)
    )


OBJECTS = catalogue(X, Y)


def write(path, scale, **cards) -> None:
    header = sky().to_header()
    header["BUNIT"] = "nJy"
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    pixels = scale * (FLUX[:, None, None] * star(X[:2], Y[:2], SHAPE)).sum(axis=0)
    parts = {"VARIANCE": np.full(SHAPE, 4.0, np.float32), "PSF": gaussian_psf().images[0]}
    hdus = [primary, fits.ImageHDU(pixels.astype(np.float32), header, name="IMAGE")]
    fits.HDUList([*hdus, *(fits.ImageHDU(data, name=name) for name, data in parts.items())]).writeto(path)


@pytest.fixture
def images(tmp_path: Path) -> ImageUris:
    write(tmp_path / "difference.fits", 1.0, VISIT=1, DETECTOR=0)
    write(tmp_path / "science.fits", 10.0)
    return ImageUris(f"file://{tmp_path}/difference.fits", f"{tmp_path}/science.fits")


@pytest.fixture
def photometer(tmp_path: Path) -> ImagePhotometer:
    return ImagePhotometer(ImageStore([str(tmp_path)]))


def visit(images: ImageUris) -> Batch:
    one = batch(1, [150.0], [2.0])
    return replace(one, id=BatchId(1, 0), images=images)


def measured(photometer: ImagePhotometer, one: Batch, objects: ObjectPositions) -> pa.Table:
    loaded = photometer.load(one)
    assert loaded is not None
    return loaded.measure(one, objects, NOW)


def test_fluxes_of_both_images(photometer: ImagePhotometer, images: ImageUris) -> None:
    one = visit(images)
    rows = measured(photometer, one, OBJECTS)
    assert rows.schema.equals(no_forced_sources().schema, check_metadata=True)
    rows.validate(full=True)
    table = rows.to_pydict()
    assert table["diaObjectId"] == OBJECTS.diaObjectId.tolist()
    assert table["psfFlux"] == [*(pytest.approx(flux, rel=1e-4) for flux in FLUX), None]
    assert table["scienceFlux"] == [
        pytest.approx(10 * FLUX[0], rel=1e-4),
        pytest.approx(10 * FLUX[1], rel=1e-4),
        None,
    ]
    for name in ("psfFluxErr", "scienceFluxErr"):
        assert [error and error > 0.0 for error in table[name]] == [True, True, None]
    assert table["ra"] == OBJECTS.ra.tolist()
    assert (set(table["visit"]), set(table["detector"]), set(table["band"])) == ({1}, {0}, {one.band})
    assert (set(table["timeProcessedMjdTai"]), set(table["midpointMjdTai"])) == ({NOW}, {one.midpointMjdTai})
    assert set(table["timeWithdrawnMjdTai"]) == {None}


def test_the_same_batch_gives_the_same_rows(photometer: ImagePhotometer, images: ImageUris) -> None:
    rows, again = (measured(photometer, visit(images), OBJECTS) for _ in range(2))
    assert rows.equals(again)
    shuffled = measured(photometer, visit(images), OBJECTS.take(np.array([2, 0, 1])))
    assert shuffled.sort_by("diaObjectId").equals(rows)


@pytest.mark.parametrize(("missing", "empty"), [("difference", "psfFlux"), ("science", "scienceFlux")])
def test_an_image_that_is_not_named_gives_nulls(
    photometer: ImagePhotometer, images: ImageUris, missing: str, empty: str
) -> None:
    rows = measured(photometer, visit(replace(images, **{missing: None})), OBJECTS)
    assert rows[empty].null_count == rows[f"{empty}Err"].null_count == 3
    other = {"psfFlux", "scienceFlux"} - {empty}
    assert rows[other.pop()].null_count == 1


def test_no_image_and_no_object_give_no_row(photometer: ImagePhotometer, images: ImageUris) -> None:
    assert photometer.load(visit(ImageUris())) is None
    rows = measured(photometer, visit(images), ObjectPositions.empty())
    assert rows.equals(no_forced_sources())
    assert rows.schema.field("diaObjectId").type == pa.int64()


def test_images_that_must_not_or_cannot_be_read(
    photometer: ImagePhotometer, images: ImageUris, tmp_path: Path
) -> None:
    for uri, error, message in (
        ("/etc/passwd", ImageRefusedError, r"images\.roots"),
        (f"{tmp_path}/none.fits", ImageMissingError, "cannot be opened"),
    ):
        with pytest.raises(error, match=message):
            measured(photometer, visit(replace(images, science=uri)), OBJECTS)


@pytest.mark.parametrize("cards", [{"VISIT": 2}, {"VISIT": 1, "DETECTOR": 5}, {"BAND": "g"}])
def test_the_image_of_another_batch_is_refused(
    photometer: ImagePhotometer, tmp_path: Path, cards: dict[str, int] | dict[str, str]
) -> None:
    write(tmp_path / "other.fits", 1.0, **cards)
    with pytest.raises(ImageMismatchError, match=r"other\.fits.*name the image of the batch"):
        measured(photometer, visit(ImageUris(difference=f"{tmp_path}/other.fits")), OBJECTS)


def test_a_position_is_on_the_images_if_it_is_on_both(
    photometer: ImagePhotometer, images: ImageUris, tmp_path: Path
) -> None:
    both = photometer.load(visit(images))
    assert both is not None
    assert both.science is not None
    assert both.contains(OBJECTS.ra, OBJECTS.dec).tolist() == [True, True, False]
    narrow = replace(
        both.science,
        image=both.science.image[:, :60],
        variance=both.science.variance[:, :60],
        mask=both.science.mask[:, :60],
    )
    assert replace(both, science=narrow).contains(OBJECTS.ra, OBJECTS.dec).tolist() == [True, False, False]
    assert replace(both, science=None).contains(OBJECTS.ra, OBJECTS.dec).tolist() == [True, True, False]
