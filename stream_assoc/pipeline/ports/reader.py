"""What a session, or a reader without one, answers about the APDB: read-only questions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.forced import ForcedPoints, GoodSources
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import Checkpoints, ObjectHistories, PointsOfObjects
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ChangedObjects:
    """Current objects that other programs have changed since their versions were made.

    A state of theirs that was cached before is out of date, though its version
    is the current one.

    Attributes
    ----------
    diaObjectId, tile : `numpy.ndarray` [int64], shape (n,)
        The objects, and the tile that each lies in.
    is_outdated : `numpy.ndarray` [bool], shape (n,)
        Whether the version is out of date too, because sources of the object
        were reassigned, withdrawn or corrected. The next batch that comes over
        the tile has to give it another, or close it.
    """

    diaObjectId: IntArray
    tile: IntArray
    is_outdated: BoolArray

    @classmethod
    def none(cls) -> "ChangedObjects":
        """Return no object."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))

    def __len__(self) -> int:
        return len(self.diaObjectId)

    def outdated(self, tiles: IntArray) -> IntArray:
        """Return those objects of these tiles whose version is out of date."""
        return self.diaObjectId[self.is_outdated & np.isin(self.tile, tiles)]


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """What a session knows of the database when it begins, read in one round trip.

    Attributes
    ----------
    entries : `dict` [`BatchId`, `tuple` [`LedgerEntry`, ...]]
        Those of the asked batches that have been processed before, by
        ascending revision.
    tile_versions : `numpy.ndarray` [int64], shape (n_tiles,)
        Version of each asked tile; 0 for a tile that no batch has changed yet.
    n_single_source : `int`
        DIAObjects in the whole APDB that have exactly one source.
    unpublished : `tuple` [`BatchRevision`, ...]
        Batches that changed one of the asked tiles last and whose outputs are
        still in the outbox: subscribers must have them first.
    changed : `ChangedObjects`
        The objects of the asked tiles that other programs have changed.
    """

    entries: dict[BatchId, tuple[LedgerEntry, ...]]
    tile_versions: IntArray
    n_single_source: int
    unpublished: tuple[BatchRevision, ...] = ()
    changed: ChangedObjects = field(default_factory=ChangedObjects.none)


@dataclass(frozen=True, slots=True)
class CountedSources:
    """The sources of a batch that count: stored, and not withdrawn.

    Attributes
    ----------
    diaSourceId : `numpy.ndarray` [int64], shape (n,)
        Ascending.
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        The object each belongs to, 0 for none.
    """

    diaSourceId: IntArray
    diaObjectId: IntArray

    def __len__(self) -> int:
        return len(self.diaSourceId)


@dataclass(frozen=True, slots=True)
class ObjectVersions:
    """The latest versions of some objects.

    Attributes
    ----------
    positions : `ObjectPositions`
        Ascending by diaObjectId.
    validityEndMjdTai : `numpy.ndarray` [float64], shape (n,)
        When the version ended, MJD TAI; NaN for one that is current. A closed object has none.
    """

    positions: ObjectPositions
    validityEndMjdTai: FloatArray

    @property
    def is_open(self) -> BoolArray:
        """Whether each version is the current one."""
        return np.isnan(self.validityEndMjdTai)


class SessionReader(Protocol):
    """What a session reads of the sky it holds; nothing here changes the APDB."""

    def read_snapshot(self, batches: Sequence[BatchId], tiles: IntArray) -> SessionSnapshot:
        """Return what is known of these batches and tiles.

        Whatever else the session reads of these tiles, it reads later:
        `~stream_assoc.pipeline.ports.sessions.ApdbSession.commit` compares
        their versions with these.
        """

    def load_tiles(self, tiles: IntArray) -> TiledObjects:
        """Return the current objects of these tiles, also of those that hold nothing."""

    def load_histories(self, diaObjectId: IntArray, without: BatchId | None = None) -> ObjectHistories:
        """Return the stored sources of these objects, from which states are rebuilt.

        Withdrawn sources are left out, and those of the batch ``without``.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
        without : `BatchId`, optional
        """

    def load_later_points(self, diaObjectId: IntArray, after: FloatArray) -> PointsOfObjects:
        """Return the stored sources of these objects that were processed after a time; withdrawn ones are left out.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            Each once.
        after : `numpy.ndarray` [float64], shape (n,)
            Those of object ``i`` whose timeProcessedMjdTai is above ``after[i]``, MJD TAI.
        """

    def load_checkpoints(self, diaObjectId: IntArray, layout: int) -> Checkpoints:
        """Return the checkpoints of this layout that there are of these objects, in any order."""

    def load_forced_points(
        self, diaObjectId: IntArray, after: FloatArray, until: FloatArray, without: BatchId | None = None
    ) -> ForcedPoints:
        """Return the stored forced sources of these objects that were measured within a span of time.

        Withdrawn ones are left out, and those of the batch ``without``.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            Each once.
        after, until : `numpy.ndarray` [float64], shape (n,)
            Those whose timeProcessedMjdTai is above ``after`` and not above ``until``, MJD TAI.
        without : `BatchId`, optional

        Returns
        -------
        points : `ForcedPoints`
            Ordered by (diaObjectId, timeProcessedMjdTai, visit, detector).
        """

    def counted_forced_sources(self, batch: BatchId) -> ForcedPoints:
        """Return the forced sources of a batch that count so far, ascending by diaObjectId."""

    def forced_source_rows(self, batch: BatchId) -> pa.Table:
        """Return the DiaForcedSource rows of a batch that count so far, every column, ascending by diaObjectId."""

    def has_good_source(
        self, diaObjectId: IntArray, criteria: GoodSources | None, without: BatchId | None = None
    ) -> BoolArray:
        """Tell which of these objects have a good source, without criteria any, in the order asked.

        Withdrawn sources do not count, nor do those of the batch ``without``.
        """

    def counted_sources(self, batch: BatchId) -> CountedSources:
        """Return the sources of a batch that count so far."""

    def latest_versions(self, diaObjectId: IntArray) -> ObjectVersions:
        """Return the latest version of each of these objects that ever was, wherever on the sky.

        Only what lies in the session's own cells cannot change meanwhile.
        """
