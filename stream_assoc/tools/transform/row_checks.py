"""What must hold of each row of a table before it is believed."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.batch_checks import MAX_DETECTOR
from stream_assoc.core.model.positions import MAX_ABS_RA, has_position
from stream_assoc.core.model.times import (
    EARLIEST_MJD,
    LATEST_MJD,
    LONGEST_EXPOSURE_SECONDS,
    is_plausible_exposure,
    is_plausible_mjd,
)
from stream_assoc.core.model.types import BANDS, BoolArray, FloatArray, IntArray
from stream_assoc.tools.transform.columns import Detections
from stream_assoc.tools.transform.conversion import mask_of
from stream_assoc.tools.transform.selection import N_EXAMPLES, Sieve


def check_rows(detections: Detections, sieve: Sieve) -> None:
    """Leave out the rows that no batch may hold, each for the first reason that there is.

    Parameters
    ----------
    detections : `Detections`
    sieve : `Sieve`
        Told which rows are left out.
    """
    _check_visits(detections.visits, sieve)
    _check_sources(detections.sources, sieve)


def integers(values: pa.Array) -> IntArray:
    """Return int64, 0 for null."""
    return np.asarray(pc.fill_null(values, 0).to_numpy(zero_copy_only=False), np.int64)


def floats(values: pa.Array) -> FloatArray:
    """Return float64, NaN for null."""
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def _check_visits(visits: dict[str, pa.Array], sieve: Sieve) -> None:
    for name in ("visit", "detector", "band", "midpointMjdTai"):
        sieve.leave_out(_is_null(visits[name]), f"batch.{name} is null")
    visit, detector = integers(visits["visit"]), integers(visits["detector"])
    sieve.leave_out(visit < 0, "batch.visit is negative")
    sieve.leave_out((detector < 0) | (detector > MAX_DETECTOR), f"batch.detector is not from 0 to {MAX_DETECTOR}")
    band = visits["band"]
    unknown = mask_of(pc.invert(pc.is_in(band, pa.array(BANDS)))) & sieve.kept
    named = ", ".join(map(repr, pc.unique(band.filter(pa.array(unknown))).to_pylist()[:N_EXAMPLES]))
    sieve.leave_out(unknown, f"batch.band is none of {', '.join(BANDS)}: {named}")
    for name in ("midpointMjdTai", "arrival"):
        time = floats(visits[name])
        wrong = ~np.isnan(time) & ~is_plausible_mjd(time) & sieve.kept
        example = f"{float(time[wrong][0])!r}" if wrong.any() else ""
        sieve.leave_out(
            wrong, f"batch.{name} is no MJD from {EARLIEST_MJD:.0f} to {LATEST_MJD:.0f} (1950 to 2100): {example}"
        )
    seconds = floats(visits["exposureTime"])
    impossible = ~np.isnan(seconds) & ~is_plausible_exposure(seconds)
    sieve.leave_out(impossible, f"batch.exposureTime is not above 0 and at most {LONGEST_EXPOSURE_SECONDS:.0f} s")


def _check_sources(sources: dict[str, pa.Array], sieve: Sieve) -> None:
    for name in ("diaSourceId", "ra", "dec", "x", "y"):
        sieve.leave_out(_is_null(sources[name]), f"{name} is null or not finite")
    sieve.leave_out(integers(sources["diaSourceId"]) <= 0, "diaSourceId is not positive")
    sieve.leave_out(integers(sources["ssObjectId"]) < 0, "ssObjectId is negative; null or 0 mean none")
    sieve.leave_out(
        ~has_position(floats(sources["ra"]), floats(sources["dec"])),
        f"ra and dec are no position in degrees: dec beyond 90, or ra beyond {MAX_ABS_RA:.0f}",
    )


def _is_null(values: pa.Array) -> BoolArray:
    return mask_of(values.is_null())
