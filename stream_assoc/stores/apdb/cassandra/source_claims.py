"""Claims of source ids: of two batches without a common cell that bring the same source, one is stored.

A group writes which ids it is about to store, and only then looks who else
has written some of them. Both writes are at a quorum before either look, so at
least one of two groups sees the other, and makes its commit impossible or its
rows visible. That costs a write and a read for each block of ids, where a
conditional write for each source was planned.
"""

import uuid
from typing import Final

import numpy as np

from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.leases import Leases
from stream_assoc.stores.apdb.cassandra.tables import SOURCE_CLAIM

BLOCK_BITS: Final = 20
"""Ids of a block have the same upper bits. The ids of a batch are counted on, so they lie in one or two."""

_WRITE: Final = f'INSERT INTO "{SOURCE_CLAIM}" (block, group_id, ids) VALUES (?, ?, ?)'
_READ: Final = f'SELECT block, group_id, ids FROM "{SOURCE_CLAIM}" WHERE block IN ?'
_DELETE: Final = f'DELETE FROM "{SOURCE_CLAIM}" WHERE block = ? AND group_id = ?'


class SourceClaims:
    """The claims of source ids by groups that prepare.

    Parameters
    ----------
    connection : `Connection`
    groups : `Groups`
    leases : `Leases`
    """

    def __init__(self, connection: Connection, groups: Groups, leases: Leases) -> None:
        self._connection = connection
        self._groups = groups
        self._leases = leases

    def claim(self, diaSourceId: IntArray, group_id: uuid.UUID) -> None:
        """Let a group store these sources, if they are not stored; whoever has claimed some of them is decided.

        Which of them are stored tells DiaSourceToPartition, read after this.
        """
        of_block = _by_block(diaSourceId)
        self._connection.write_each(_WRITE, [(block, group_id, ids.tobytes()) for block, ids in of_block.items()])
        for block, other, packed in self._connection.read_in(_READ, list(of_block)):
            if other != group_id and np.isin(np.frombuffer(packed, np.int64), of_block[block]).any():
                # One that commits in spite of this has its rows written before the answer.
                self._groups.abort(other)
                self._leases.clear(other)
                self._connection.write(_DELETE, block, other)

    def release(self, diaSourceId: IntArray, group_id: uuid.UUID) -> None:
        """Forget the claims of a group that is applied, or aborted."""
        self._connection.write_each(_DELETE, [(block, group_id) for block in _by_block(diaSourceId)])


def _by_block(diaSourceId: IntArray) -> dict[int, IntArray]:
    ids = np.sort(diaSourceId)
    blocks, begins = np.unique(ids >> BLOCK_BITS, return_index=True)
    return dict(zip(blocks.tolist(), np.split(ids, begins[1:]), strict=True)) if len(ids) else {}
