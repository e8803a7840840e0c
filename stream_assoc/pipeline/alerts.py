"""The rows that the alerts of a processing hold, read as of that processing.

Read again, however much later, they are the same: a row that came later is
left out by its processing time, one that was withdrawn later is still in.
Only what other programs change in place, and what a re-processing replaces
under the same id, is told as it is now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.alerts import AlertRows, AsOf
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.history import AlertHistory

MOST_ROWS: Final = 500_000
"""What an APDB answers at once."""

_NO_OBJECT: Final = 0


@dataclass(frozen=True, slots=True)
class AlertContent:
    """Which sources get an alert, and what it tells.

    Attributes
    ----------
    solar_system : `bool`
        Whether sources without a DIAObject get one.
    min_reliability : `float` or `None`
        The least reliability of a source that gets one; one without a reliability does.
    history_days : `float`
        How far back from the midpoint of the visit earlier sources are told.
    at_once : `int`
        The most alerts that are read at once.
    """

    solar_system: bool = True
    min_reliability: float | None = None
    history_days: float = 365.0
    at_once: int = 500

    def choose(self, sources: pa.Table) -> pa.Table:
        """Return the sources that get an alert."""
        chosen = np.ones(sources.num_rows, np.bool_) if self.solar_system else _objects_of(sources) != _NO_OBJECT
        if self.min_reliability is not None:
            chosen &= ~(sources["reliability"].to_numpy() < self.min_reliability)
        return sources.filter(pa.array(chosen))


def read_alerts(history: AlertHistory, entry: LedgerEntry, content: AlertContent) -> Iterator[AlertRows]:
    """Yield the rows of the alerts of a processing, a portion at a time.

    They come by diaObjectId, those of the solar system first, then by diaSourceId.

    Raises
    ------
    ApdbUnavailableError
        If the database is away, or takes too long.
    """
    sources = content.choose(history.sources_of_batch(entry.id, entry.timeProcessedMjdTai, MOST_ROWS))
    objects = _objects_of(sources)
    order = np.argsort(objects, kind="stable")
    sources, objects = sources.take(pa.array(order)), objects[order]
    for begin in range(0, len(objects), content.at_once):
        some = slice(begin, begin + content.at_once)
        yield from _read(history, entry, sources.slice(begin, content.at_once), objects[some], content.history_days)


def _read(
    history: AlertHistory, entry: LedgerEntry, sources: pa.Table, objects: IntArray, days: float
) -> Iterator[AlertRows]:
    """Yield these alerts, in two portions where their history is too much to be read at once."""
    as_of = AsOf(entry.timeProcessedMjdTai, sources["midpointMjdTai"][0].as_py() - days)
    asked = objects[objects != _NO_OBJECT]
    earlier = history.sources_before(asked, as_of, MOST_ROWS)
    forced = history.forced_sources_until(asked, as_of, MOST_ROWS)
    if max(earlier.num_rows, forced.num_rows) >= MOST_ROWS and len(objects) > 1:
        half = len(objects) // 2
        for part in (slice(0, half), slice(half, None)):
            rows = sources.slice(part.start, len(objects[part]))
            yield from _read(history, entry, rows, objects[part], days)
        return
    versions = history.versions_made(asked, as_of.time)
    yield AlertRows(
        sources, versions, _places(versions, objects), *_aligned(earlier, objects), *_aligned(forced, objects)
    )


def _objects_of(rows: pa.Table) -> IntArray:
    ids = pc.fill_null(rows["diaObjectId"], _NO_OBJECT).combine_chunks()
    return np.asarray(ids.to_numpy(zero_copy_only=False), np.int64)


def _places(versions: pa.Table, objects: IntArray) -> IntArray:
    """Return the row of each object's version, -1 where there is none."""
    known = _objects_of(versions)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known, objects, sorter=order)
    if not len(known):
        return np.full(len(objects), -1, np.int64)
    row = order[np.minimum(place, len(known) - 1)]
    return np.where((known[row] == objects) & (objects != _NO_OBJECT), row, -1)


def _aligned(rows: pa.Table, objects: IntArray) -> tuple[pa.Table, IntArray]:
    """Return the rows of each object side by side, and where they begin and end; both ascend by diaObjectId."""
    known = _objects_of(rows)
    begins, ends = np.searchsorted(known, objects), np.searchsorted(known, objects, side="right")
    lengths = ends - begins
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if offsets[-1] != len(known):
        # Another program has given sources of one batch to one object since.
        rows = rows.take(pa.array(np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)))
    return rows, offsets
