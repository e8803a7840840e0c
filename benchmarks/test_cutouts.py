"""Cutouts of a detector's sources, beside what upstream does for each: a `CCDData` that astropy writes."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS

from benchmarks.side_by_side import Figure, in_turns
from stream_assoc.photometry.cutouts.boxes import Boxes, Sources, boxes_of
from stream_assoc.photometry.cutouts.files import written
from stream_assoc.photometry.exposure import Exposure
from tests.photometry.skies import exposure, gaussian_psf

Record = Callable[[Figure], None]

SIDE = 4096
N_SOURCES = 1_000
COMPARED = 50
"""Cutouts that astropy writes; its time is proportional to their number."""
SIZE = 30
PSF_SIZE = 41


def astropy_file(image: Exposure, boxes: Boxes, sources: Sources, one: int) -> bytes:
    """Return a cutout as upstream makes it."""
    left, below = boxes.left[one], boxes.below[one]
    square = (slice(below, below + SIZE), slice(left, left + SIZE))
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [boxes.x[one] - left + 1.0, boxes.y[one] - below + 1.0]
    wcs.wcs.crval = [sources.ra[one], sources.dec[one]]
    wcs.wcs.cd = boxes.matrix[one]
    ccd = CCDData(
        data=image.image[square],
        uncertainty=VarianceUncertainty(image.variance[square]),
        wcs=wcs,
        psf=image.psf.images[0],
        meta={"cutMinX": int(left) - 1, "cutMinY": int(below) - 1},
        unit="nJy",
    )
    with io.BytesIO() as file:
        ccd.write(file, format="fits")
        return file.getvalue()


def of_three_images(image: Exposure, sources: Sources) -> list[pa.LargeBinaryArray]:
    return [written(image, boxes_of(image, sources), sources) for _ in range(3)]


def test_three_cutouts_an_alert(record: Record) -> None:
    random = np.random.default_rng(1)
    image = exposure(random.normal(0.0, 30.0, (SIDE, SIDE)), psf=gaussian_psf(size=PSF_SIZE))
    # Away from the edges, beyond which CCDData has nothing.
    x, y = random.uniform(SIZE, SIDE - SIZE, (2, N_SOURCES))
    ra, dec = image.wcs.all_pix2world(x, y, 0)
    sources = Sources(ra, dec, x, y, np.full(N_SOURCES, SIZE))
    boxes, files = boxes_of(image, sources), of_three_images(image, sources)
    content = [np.frombuffer(one.buffers()[2], np.uint8) for one in files]

    def theirs() -> list[bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            return [astropy_file(image, boxes, sources, one) for one in range(COMPARED)]

    for ours, one in zip(files[0], theirs(), strict=False):
        assert len(ours.as_py()) == len(one)
        for mine, astropys in zip(fits.open(io.BytesIO(ours.as_py())), fits.open(io.BytesIO(one)), strict=True):
            assert np.array_equal(mine.data, astropys.data)
    timed = in_turns(5, ours=lambda: of_three_images(image, sources), copy=lambda: [one.copy() for one in content])
    astropy = 3.0 * in_turns(1, astropy=theirs).seconds["astropy"] / COMPARED
    alert = timed.seconds["ours"] / N_SOURCES
    seconds = {"ours": alert, "astropy": astropy, "memory copy": timed.seconds["copy"] / N_SOURCES}
    record(Figure("three cutouts of 30 x 30 pixels, an alert", 1e6 * alert, "µs", details=seconds))
    record(Figure("three cutouts / astropy's CCDData.write", alert / astropy, bar=1.0 / 50.0, details=seconds))
    record(Figure("three cutouts / a memory copy of their bytes", timed.ratio("ours", "copy"), details=seconds))
