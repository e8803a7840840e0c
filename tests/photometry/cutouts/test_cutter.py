"""From the images that a batch names to the stamps of its alerts, and what may be wrong with them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from stream_assoc.core.model.batch import BatchId, ImageUris
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.photometry.cutouts.cutter import OFF_IMAGE, Cutter
from stream_assoc.photometry.exceptions import ImageUnavailableError
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.image_store import ImageStore
from tests.photometry.skies import gaussian_psf, sky

SHAPE = (100, 120)
X, Y = np.array([40.3, 80.8, 500.0]), np.array([50.7, 33.1, 50.0])
VALUES = {"difference": 1.0, "science": 2.0, "template": 3.0}
BATCH = BatchId(7, 94)


class CountingStore(ImageStore):
    """Counts what is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__([str(folder)])
        self.read_uris: list[str] = []

    def read(self, uri: str) -> Exposure:
        self.read_uris.append(uri)
        return super().read(uri)


class SilentStore(CountingStore):
    """A store whose science image does not come."""

    def read(self, uri: str) -> Exposure:
        if "science" in uri:
            raise ImageUnavailableError(f"the image {uri!r} could not be fetched")
        return super().read(uri)


def rows(x=X, y=Y) -> pa.Table:
    ra, dec = sky().all_pix2world(x, y, 0)
    table = apdb_table("DiaSource")
    columns = {
        "ra": ra,
        "dec": dec,
        "x": x,
        "y": y,
        "bboxSize": [25, 41, 30][: len(x)],
    }
    return pa.table({name: pa.array(column, table.column(name).arrow_type) for name, column in columns.items()})


def write(path: Path, value: float, **cards: str | int) -> None:
    header = sky().to_header()
    header["BUNIT"] = "nJy"
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    parts = {"VARIANCE": np.full(SHAPE, 4.0, np.float32), "PSF": gaussian_psf().images[0]}
    hdus = [primary, fits.ImageHDU(np.full(SHAPE, value, np.float32), header, name="IMAGE")]
    fits.HDUList([*hdus, *(fits.ImageHDU(data, name=name) for name, data in parts.items())]).writeto(path)


@pytest.fixture
def uris(tmp_path: Path) -> ImageUris:
    for kind, value in VALUES.items():
        write(tmp_path / f"{kind}.fits", value)
    return ImageUris(**{kind: str(tmp_path / f"{kind}.fits") for kind in VALUES})


def test_each_kind_is_cut_from_its_image(uris: ImageUris, tmp_path: Path) -> None:
    cutouts = Cutter(ImageStore([str(tmp_path)])).load(uris, BATCH, "r").cut(rows())
    for kind, value in VALUES.items():
        stamps = getattr(cutouts.stamps, kind)
        assert stamps.is_valid().to_pylist() == [True, True, False]
        for stamp, size in zip(stamps, (30, 41), strict=False):
            pixels = fits.getdata(io.BytesIO(stamp.as_py()))
            assert pixels.shape == (size, size)
            assert (pixels == value).all()
    assert [(one.kind, one.reason, one.n_stamps) for one in cutouts.missing] == [
        (kind, OFF_IMAGE, 1) for kind in VALUES
    ]
    assert "1 of 3 sources do not lie on the science image" in cutouts.missing[1].message


def test_parts_of_a_batch_read_each_image_once(uris: ImageUris, tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    whole = Cutter(store).load(uris, BATCH, "r").cut(rows()).stamps
    images = Cutter(store).load(uris, BATCH, "r")
    parts = [images.cut(rows().slice(begin, 1)).stamps for begin in range(3)]
    assert len(store.read_uris) == 2 * 3
    for kind in VALUES:
        assert pa.concat_arrays([getattr(one, kind) for one in parts]).equals(getattr(whole, kind))


def test_an_image_that_is_not_named_gives_nulls_and_no_reason(uris: ImageUris, tmp_path: Path) -> None:
    cutouts = (
        Cutter(ImageStore([str(tmp_path)])).load(replace(uris, template=None), BATCH, "r").cut(rows(X[:2], Y[:2]))
    )
    assert cutouts.stamps.template.null_count == 2
    assert cutouts.stamps.template.type == cutouts.stamps.science.type == pa.large_binary()
    assert cutouts.missing == ()


@pytest.mark.parametrize(
    ("content", "reason", "message"),
    [
        (None, "missing", "cannot be opened"),
        (b"no FITS file", "damaged", "write it again"),
        ({"VISIT": 8, "DETECTOR": 94}, "mismatch", "name the image of the batch"),
        ({"BAND": "g"}, "mismatch", "in band g, the batch in r"),
    ],
)
def test_an_image_that_is_of_no_use_gives_nulls_and_its_reason(
    uris: ImageUris, tmp_path: Path, content: bytes | dict[str, str | int] | None, reason: str, message: str
) -> None:
    science = tmp_path / "science.fits"
    science.unlink()
    if isinstance(content, bytes):
        science.write_bytes(content)
    elif content is not None:
        write(science, 2.0, **content)
    images = Cutter(ImageStore([str(tmp_path)])).load(uris, BATCH, "r")
    cutouts = images.cut(rows(X[:2], Y[:2]))
    assert cutouts.stamps.science.null_count == 2
    assert cutouts.stamps.difference.null_count == cutouts.stamps.template.null_count == 0
    (missing,) = cutouts.missing
    assert (missing.kind, missing.reason, missing.n_stamps) == ("science", reason, 2)
    assert message in missing.message
    assert images.are_complete


def test_an_image_outside_of_the_roots_is_refused(uris: ImageUris, tmp_path: Path) -> None:
    cutouts = (
        Cutter(ImageStore([str(tmp_path)]))
        .load(replace(uris, difference="/etc/passwd"), BATCH, "r")
        .cut(rows(X[:2], Y[:2]))
    )
    assert [(one.kind, one.reason) for one in cutouts.missing] == [("difference", "refused")]


def test_a_store_that_does_not_answer_is_told_apart(uris: ImageUris, tmp_path: Path) -> None:
    images = Cutter(SilentStore(tmp_path)).load(uris, BATCH, "r")
    assert not images.are_complete
    cutouts = images.cut(rows(X[:2], Y[:2]))
    assert [(one.kind, one.reason, one.n_stamps) for one in cutouts.missing] == [("science", "unavailable", 2)]
    assert cutouts.stamps.difference.null_count == 0


def test_a_template_may_be_of_another_visit_but_not_of_another_band(uris: ImageUris, tmp_path: Path) -> None:
    for kind, cards in (("template", {"VISIT": 1, "DETECTOR": 3}), ("difference", {"VISIT": 1})):
        (tmp_path / f"{kind}.fits").unlink()
        write(tmp_path / f"{kind}.fits", 1.0, **cards)
    cutter = Cutter(ImageStore([str(tmp_path)]))
    assert [one.kind for one in cutter.load(uris, BATCH, "r").cut(rows(X[:2], Y[:2])).missing] == ["difference"]
    (tmp_path / "template.fits").unlink()
    write(tmp_path / "template.fits", 1.0, BAND="g")
    assert [one.kind for one in cutter.load(uris, BATCH, "r").cut(rows(X[:2], Y[:2])).missing] == [
        "difference",
        "template",
    ]
