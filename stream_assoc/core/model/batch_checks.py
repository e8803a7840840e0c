"""What must hold of a batch before it is believed, whichever way it comes in.

Messages, tables and the task facades ask here, so that none of them accepts
what another refuses. A check that condemns the whole batch raises
`~stream_assoc.core.exceptions.InvalidBatchError` and names the batch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.times import LONGEST_EXPOSURE_SECONDS, checked_mjd, is_number, is_plausible_exposure
from stream_assoc.core.model.types import BANDS, IntArray

MAX_VISIT: Final = int(np.iinfo(np.int64).max)
MAX_DETECTOR: Final = int(np.iinfo(np.int16).max)
"""DiaSource holds a detector in 16 bits."""

MOST_CHARACTERS: Final = 2000
"""Of what a message names or says: the URI of an image, why a visit was taken."""

_NAMED_IDS: Final = 5
_SHOWN_CHARACTERS: Final = 20


def check_batch(batch: Batch, bands: Sequence[str] = BANDS) -> None:
    """Check everything that a message's content is checked for.

    Parameters
    ----------
    batch : `Batch`
    bands : `~collections.abc.Sequence` [`str`], optional
        The bands accepted.

    Raises
    ------
    InvalidBatchError
        As `check_visit`, `check_texts`, `check_source_ids` and `check_solar_system_ids`.
    """
    check_visit(batch.id, batch.band, batch.midpointMjdTai, batch.exposureTime, bands)
    images, observation = batch.images, batch.observation
    check_texts(
        batch.id,
        {
            "images.difference": images.difference,
            "images.science": images.science,
            "images.template": images.template,
            "observation.reason": observation.reason,
            "observation.target": observation.target,
        },
    )
    check_source_ids(batch.id, batch.diaSourceId)
    check_solar_system_ids(batch.id, batch.ssObjectId)


def check_texts(batch: BatchId, texts: Mapping[str, str | None]) -> None:
    """Check what is kept in the ledger as it was said.

    Raises
    ------
    InvalidBatchError
        With the reason ``invalid_text`` for one that is longer than
        `MOST_CHARACTERS`, or has a NUL, which no PostgreSQL can store.
    """
    for name, text in texts.items():
        if text is not None and (len(text) > MOST_CHARACTERS or "\x00" in text):
            what = f"{len(text)} characters" if len(text) > MOST_CHARACTERS else "a NUL character"
            raise InvalidBatchError(
                f"{_named(batch)}: {name} has {what}; at most {MOST_CHARACTERS} without NUL are allowed",
                "invalid_text",
            )


def check_visit(
    batch: BatchId, band: str, midpointMjdTai: float, exposureTime: float | None, bands: Sequence[str] = BANDS
) -> None:
    """Check what is one value for all sources of a batch.

    Parameters
    ----------
    batch : `BatchId`
        Visit from 0 to 2**63 - 1, detector from 0 to 2**15 - 1.
    band : `str`
        One of ``bands``.
    midpointMjdTai : `float`
        See `~stream_assoc.core.model.times.is_plausible_mjd`.
    exposureTime : `float` or `None`
        Seconds; see `~stream_assoc.core.model.times.is_plausible_exposure`.
        `None` and NaN: unknown.
    bands : `~collections.abc.Sequence` [`str`], optional

    Raises
    ------
    InvalidBatchError
        With the reason ``invalid_visit``, ``invalid_detector``,
        ``unknown_band``, ``invalid_time`` or ``invalid_exposure_time``.
    """
    where = _named(batch)
    _check_range(where, "visit", batch.visit, MAX_VISIT)
    _check_range(where, "detector", batch.detector, MAX_DETECTOR)
    if band not in bands:
        raise InvalidBatchError(
            f"{where}: band {str(band)[:_SHOWN_CHARACTERS]!r} is none of {', '.join(bands)}; correct the band, or "
            "add it to batch.bands",
            "unknown_band",
        )
    try:
        checked_mjd(midpointMjdTai, "midpointMjdTai")
    except ValueError as error:
        raise InvalidBatchError(f"{where}: {error}", "invalid_time") from None
    if exposureTime is not None and not is_number(exposureTime):
        raise InvalidBatchError(
            f"{where}: exposureTime is {type(exposureTime).__name__}; it must be a number of seconds",
            "invalid_exposure_time",
        )
    if exposureTime is None or math.isnan(exposureTime):
        return
    if not is_plausible_exposure(exposureTime):
        raise InvalidBatchError(
            f"{where}: exposureTime is {exposureTime}; it must be above 0 and at most "
            f"{LONGEST_EXPOSURE_SECONDS:.0f} seconds, or null where it is not known",
            "invalid_exposure_time",
        )


def check_source_ids(batch: BatchId, diaSourceId: IntArray) -> None:
    """Check that every source of a batch has an identifier of its own.

    Raises
    ------
    InvalidBatchError
        With the reason ``invalid_id`` or ``duplicate_ids``.
    """
    if len(diaSourceId) == 0:
        return
    ordered = np.sort(diaSourceId)
    if ordered[0] <= 0:
        raise InvalidBatchError(
            f"{_named(batch)}: diaSourceId {ordered[0]} is not positive; zero and below mean that there is none",
            "invalid_id",
        )
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(repeated):
        shown = ", ".join(map(str, repeated[:_NAMED_IDS].tolist()))
        more = ", ..." if len(repeated) > _NAMED_IDS else ""
        raise InvalidBatchError(
            f"{_named(batch)}: {len(repeated)} diaSourceId occur more than once in the batch: {shown}{more}; send "
            "each source once",
            "duplicate_ids",
        )


def check_solar_system_ids(batch: BatchId, ssObjectId: IntArray) -> None:
    """Check that what a producer says which solar-system objects its sources are can be true.

    Parameters
    ----------
    batch : `BatchId`
    ssObjectId : `numpy.ndarray` [int64], shape (n,)
        Of each source; 0 for none.

    Raises
    ------
    InvalidBatchError
        With the reason ``invalid_id``.
    """
    least = int(ssObjectId.min(initial=0))
    if least < 0:
        raise InvalidBatchError(
            f"{_named(batch)}: a source has the ssObjectId {least}; null or 0 mean that it is no known "
            "solar-system object",
            "invalid_id",
        )


def _check_range(where: str, name: str, number: int, greatest: int) -> None:
    if not isinstance(number, int | np.integer) or isinstance(number, bool):
        raise InvalidBatchError(f"{where}: {name} must be an integer, not {type(number).__name__}", f"invalid_{name}")
    if not 0 <= number <= greatest:
        raise InvalidBatchError(f"{where}: {name} must be from 0 to {greatest}", f"invalid_{name}")


def _named(batch: BatchId) -> str:
    return f"visit {batch.visit} detector {batch.detector}"
