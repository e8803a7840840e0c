"""What a session reads first, and compares again when it commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.pipeline.ports.reader import ChangedObjects, SessionSnapshot
from stream_assoc.stores.apdb.rows.entries import entries_by_batch
from stream_assoc.stores.apdb.rows.read import versions_of


def snapshot_of(
    batches: Sequence[Sequence[Any]],
    tiles: IntArray,
    stored: Sequence[Sequence[Any]],
    n_single_source: int,
    changed: Sequence[Sequence[Any]],
) -> SessionSnapshot:
    """Return what a session knows when it begins.

    Parameters
    ----------
    batches : sequence
        Rows of the ledger, in the order of `LEDGER_COLUMNS`.
    tiles : `numpy.ndarray` [int64]
        The asked tiles.
    stored : sequence
        For each tile that is stored: tile, version, and the batch that changed
        it last if its outputs are in the outbox, else three nulls.
    n_single_source : `int`
        See `SessionSnapshot`.
    changed : sequence
        Rows of the objects that other programs have changed: diaObjectId, tile, is_outdated.
    """
    versions = versions_of(tiles, {tile: version for tile, version, *_ in stored})
    unpublished = {BatchRevision(*row[2:]) for row in stored if row[2] is not None}
    return SessionSnapshot(
        entries_by_batch(batches), versions, n_single_source, tuple(sorted(unpublished)), _changed_objects(changed)
    )


def _changed_objects(rows: Sequence[Sequence[Any]]) -> ChangedObjects:
    if not rows:
        return ChangedObjects.none()
    ids, tiles, outdated = zip(*rows, strict=True)
    return ChangedObjects(np.array(ids, np.int64), np.array(tiles, np.int64), np.array(outdated, np.bool_))


@dataclass(slots=True)
class SeenTiles:
    """The versions of the tiles that a session has read, to be compared when it commits.

    Attributes
    ----------
    versions : `dict` [`int`, `int`]
        As they were first read.
    changed : `numpy.ndarray` [int64]
        Objects of these tiles that other programs had changed.
    """

    versions: dict[int, int] = field(default_factory=dict)
    changed: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, tiles: IntArray, snapshot: SessionSnapshot) -> None:
        """Remember what a session was told of these tiles."""
        self.versions = dict(zip(tiles.tolist(), snapshot.tile_versions.tolist(), strict=True)) | self.versions
        self.changed = np.union1d(self.changed, snapshot.changed.diaObjectId)

    def check(self, stored: Mapping[int, int]) -> None:
        """Return if every tile still has the version that was read.

        Parameters
        ----------
        stored : mapping
            The version of each tile that the session has read and that the database knows.

        Raises
        ------
        TilesChangedError
            If one has another.
        """
        changed = [tile for tile, version in self.versions.items() if stored.get(tile, 0) != version]
        if changed:
            raise TilesChangedError(
                f"another program changed objects of {len(changed)} of {len(self.versions)} tiles (the first is "
                f"{min(changed)}) while a batch was decided"
            )
