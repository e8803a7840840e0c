"""The APDB as one visit of `DiaPipelineTask` sees it.

Wrapped around the real one, so that the pipeline itself knows nothing of it.
It keeps what the visit stored, for the task's result, and where a task is asked
to give upstream's numbers, it leaves out what upstream leaves out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import Checkpoints, ObjectHistories
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, unit_vectors
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.sessions import ApdbSession


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """What upstream does not see of a visit's surroundings.

    Attributes
    ----------
    history_begin : `float` or `None`
        Sources whose midpoint (MJD TAI) is not later do not count.
    footprint : `ConvexFootprint`
        The detector's outline.
    edge_arcsec : `float`
        Objects less far inside of the footprint are not stored; 0: all are.
    """

    history_begin: float | None
    footprint: ConvexFootprint
    edge_arcsec: float

    def cut(self, histories: ObjectHistories) -> ObjectHistories:
        """Return the histories without the sources that are too old."""
        if self.history_begin is None:
            return histories
        kept = histories.points.midpointMjdTai > self.history_begin
        counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
        return replace(histories, offsets=counts[histories.offsets], points=histories.points.take(kept))

    def stores(self, ra: FloatArray, dec: FloatArray) -> BoolArray:
        """Tell which positions lie far enough inside of the footprint."""
        if self.edge_arcsec == 0.0:
            return np.ones(len(ra), np.bool_)
        heights = unit_vectors(ra, dec) @ self.footprint.edges.T
        return np.asarray((heights >= np.sin(self.edge_arcsec / ARCSEC_PER_RADIAN)).all(axis=1))


@dataclass(frozen=True, slots=True)
class Stored:
    """What a visit stored.

    Attributes
    ----------
    changes : `BatchChanges`
        As the database got them.
    n_single_correction : `int`
        How many objects with a single source there are more than the pipeline
        counted, because the limits kept some from growing or from being made.
    """

    changes: BatchChanges
    n_single_correction: int

    def corrected(self, metrics: AssociationMetrics) -> AssociationMetrics:
        """Return the metrics with the total that the database has."""
        total = metrics.totalUnassociatedDiaObjects + self.n_single_correction
        return replace(metrics, totalUnassociatedDiaObjects=total)


class VisitApdb:
    """`Apdb` that notes what one visit changes and keeps to its limits.

    Parameters
    ----------
    apdb : `Apdb`
        The database.
    limits : `UpstreamLimits`

    Attributes
    ----------
    stored : `Stored` or `None`
        What the visit stored, if it counted.
    """

    def __init__(self, apdb: Apdb, limits: UpstreamLimits) -> None:
        self._apdb = apdb
        self._limits = limits
        self.stored: Stored | None = None
        # Only sessions differ; the rest is the database's own.
        self.contains = apdb.contains
        self.outbox_entry = apdb.outbox_entry
        self.unpublished = apdb.unpublished
        self.waiting = apdb.waiting
        self.still_waiting = apdb.still_waiting
        self.sole_adopter = apdb.sole_adopter
        self.mark_published = apdb.mark_published
        self.known_tiles = apdb.known_tiles
        self.count_rows = apdb.count_rows
        self.ping = apdb.ping
        self.close = apdb.close

    @contextmanager
    def exclusive(self, cells: IntArray) -> Iterator[ApdbSession]:
        """See `Apdb.exclusive`."""
        with self._apdb.exclusive(cells) as session:
            visit_session = VisitSession(session, self._limits)
            yield visit_session
        self.stored = visit_session.stored


class VisitSession:
    """`ApdbSession` of a `VisitApdb`."""

    def __init__(self, session: ApdbSession, limits: UpstreamLimits) -> None:
        self._session = session
        self._limits = limits
        self._known = ObjectPositions.empty()
        self.stored: Stored | None = None
        # What is not limited is the session's own.
        self.read_snapshot = session.read_snapshot
        self.keep = session.keep
        self.load_later_points = session.load_later_points
        self.load_forced_points = session.load_forced_points
        self.counted_forced_sources = session.counted_forced_sources
        self.forced_source_rows = session.forced_source_rows
        self.has_good_source = session.has_good_source
        self.counted_sources = session.counted_sources
        self.latest_versions = session.latest_versions

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """See `ApdbSession.load_tiles`."""
        loaded = self._session.load_tiles(tiles)
        known = ObjectPositions.concatenate([self._known, loaded.positions])
        self._known = known.take(np.argsort(known.diaObjectId))
        return loaded

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """See `ApdbSession.load_histories`; without the sources that are too old."""
        return self._limits.cut(self._session.load_histories(diaObjectId, without))

    def load_checkpoints(self, diaObjectId: IntArray, layout: int) -> Checkpoints:
        """See `ApdbSession.load_checkpoints`: there are none, for they hold sources that are too old."""
        return Checkpoints.none(layout)

    def prepare(self, diaObjectId: IntArray, validityEndMjdTai: FloatArray) -> None:
        """See `ApdbSession.prepare`; ignored, for not all of these objects are stored."""

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        """See `ApdbSession.commit`; without the objects that lie too near to the edge."""
        (change,) = changes
        limited = self._limited(change)
        versions = self._session.commit([limited])
        self.stored = Stored(limited, limited.single_source_delta - change.single_source_delta)
        return versions

    def _limited(self, change: BatchChanges) -> BatchChanges:
        ids, n_sources = (_integers(change.dia_objects, name) for name in ("diaObjectId", "nDiaSources"))
        ra, dec = (change.dia_objects.column(name).to_numpy() for name in ("ra", "dec"))
        # A new object is judged by its source, a known one by where it was before the visit.
        before = np.isin(ids, self._known.diaObjectId)
        rows = np.searchsorted(self._known.diaObjectId, ids[before])
        ra, dec = ra.copy(), dec.copy()
        ra[before], dec[before] = self._known.ra[rows], self._known.dec[rows]
        kept = self._limits.stores(ra, dec)
        measured = np.isin(_integers(change.forced_sources, "diaObjectId"), ids[~kept], invert=True)
        n_single = np.count_nonzero(n_sources[kept] == 1)
        n_single_before = np.count_nonzero(self._known.nDiaSources[rows[kept[before]]] == 1)
        return replace(
            change,
            dia_objects=change.dia_objects.filter(pa.array(kept)),
            forced_sources=change.forced_sources.filter(pa.array(measured)),
            single_source_delta=int(n_single - n_single_before),
        )


def _integers(table: pa.Table, name: str) -> IntArray:
    return np.asarray(table.column(name).to_numpy(), np.int64)
