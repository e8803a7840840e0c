"""The sky and the batch at the time a source was processed."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.association.associator import SourcePositions
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.pipeline.region import LOADED_MATCH_RADII
from stream_assoc.stores.apdb.reading.port import MAX_ROWS, AnswerTooLargeError, ApdbReader
from stream_assoc.tools.explanation.record import ExplainedSource

_POSITION_COLUMNS: Final = ("ra", "dec", "raErr", "decErr")
_COLUMNS: Final = ("diaSourceId", "ssObjectId", *_POSITION_COLUMNS)
_MOST_SOURCES: Final = 100_000
"""The largest batch that is associated again."""
_HISTORY_COLUMNS: Final = (
    *("diaObjectId", "visit", "detector", "timeProcessedMjdTai", "timeWithdrawnMjdTai", "ra", "dec"),
)


@dataclass(frozen=True, slots=True)
class Past:
    """The input of the association of a batch.

    Attributes
    ----------
    processings : `tuple` [`LedgerEntry`, ...]
        Of its visit and detector.
    entry : `LedgerEntry` or `None`
        The processing that decided, if the ledger has it.
    n_found : `int`
        Its stored sources.
    diaSourceId : `numpy.ndarray` [int64], shape (n,)
        The sources that were matched with objects: no solar-system object claimed them.
    sources : `SourcePositions`
        Their positions.
    objects : `ObjectPositions`
        The objects around them just before the batch.
    """

    processings: tuple[LedgerEntry, ...]
    entry: LedgerEntry | None
    n_found: int
    diaSourceId: IntArray
    sources: SourcePositions
    objects: ObjectPositions


def past_of(source: ExplainedSource, reader: ApdbReader, radius_arcsec: float) -> Past:
    """Return the input of the association that a source was part of.

    A batch that replaced an earlier one was associated with the sky without
    the earlier batch's sources. Object versions do not keep that state, so the
    positions of these objects are averaged again over their other sources.

    Raises
    ------
    AnswerTooLargeError
        If that needs more rows than are read at once.
    """
    batch, time = BatchId(source.visit, source.detector), source.timeProcessedMjdTai
    processings = reader.processings(batch)
    entry = next((one for one in processings if one.timeProcessedMjdTai == time), None)
    rows = reader.sources_of_batch(batch, time, _MOST_SOURCES + 1, _COLUMNS)
    if rows.num_rows > _MOST_SOURCES:
        raise AnswerTooLargeError(
            f"visit {batch.visit} detector {batch.detector} has more than {_MOST_SOURCES:,} stored sources, "
            "too many to associate again for an explanation"
        )
    offered = rows.filter(pc.is_null(rows["ssObjectId"]))
    positions = SourcePositions(*(_floats(offered, name) for name in _POSITION_COLUMNS))
    objects = reader.sky_before(positions.ra, positions.dec, LOADED_MATCH_RADII * radius_arcsec, time)
    if entry is not None and entry.revision > 0:
        objects = _without_batch(objects, batch, time, reader)
    ids = np.asarray(offered["diaSourceId"].to_numpy(), np.int64)
    return Past(processings, entry, rows.num_rows, ids, positions, objects)


def _without_batch(objects: ObjectPositions, batch: BatchId, time: float, reader: ApdbReader) -> ObjectPositions:
    """Return the objects without the earlier sources of a batch."""
    rows = reader.sources_of_objects(objects.diaObjectId, MAX_ROWS, _HISTORY_COLUMNS)
    if rows.num_rows == MAX_ROWS:
        raise AnswerTooLargeError(
            f"the objects around visit {batch.visit} detector {batch.detector} have {MAX_ROWS:,} sources or more, "
            "too many to average again for an explanation"
        )
    withdrawn = pc.fill_null(rows["timeWithdrawnMjdTai"], np.inf)
    is_batch = pc.and_(pc.equal(rows["visit"], batch.visit), pc.equal(rows["detector"], batch.detector))
    counted = pc.and_(pc.less(rows["timeProcessedMjdTai"], time), pc.greater(withdrawn, time))
    kept = rows.filter(pc.and_not(counted, is_batch))
    owner = np.searchsorted(objects.diaObjectId, np.asarray(kept["diaObjectId"].to_numpy(), np.int64))
    sums = np.zeros((len(objects), 3))
    np.add.at(sums, owner, unit_vectors(_floats(kept, "ra"), _floats(kept, "dec")))
    n = np.bincount(owner, minlength=len(objects)).astype(np.int32)
    has_lost_sources = n < objects.nDiaSources
    ra, dec = to_radec(np.where(sums.any(axis=1, keepdims=True), sums, np.array([1.0, 0.0, 0.0])))
    rebuilt = ObjectPositions(
        diaObjectId=objects.diaObjectId,
        ra=np.where(has_lost_sources, ra, objects.ra),
        dec=np.where(has_lost_sources, dec, objects.dec),
        raErr=objects.raErr,
        decErr=objects.decErr,
        validityStartMjdTai=objects.validityStartMjdTai,
        nDiaSources=np.where(has_lost_sources, n, objects.nDiaSources),
    )
    return rebuilt.take(n > 0)


def _floats(table: pa.Table, name: str) -> FloatArray:
    column = table[name].cast(pa.float64())
    return np.asarray(column.to_numpy(), np.float64)
