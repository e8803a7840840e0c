"""The keys of a batch's rows: Cassandra finds a row by its partition only, and no partition is a batch's own."""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.places import Partition, partitions_of
from stream_assoc.stores.apdb.cassandra.tables import BATCH_ROWS

SELECT = f'SELECT keys FROM "{BATCH_ROWS}" WHERE visit = ? AND detector = ? AND kind = ?'


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Where the rows of a visit and detector are, of all revisions.

    Attributes
    ----------
    identifiers : `numpy.ndarray` [int64], shape (n,)
        diaSourceId, or diaObjectId of forced sources; each once, ascending.
    parts, time_parts : `numpy.ndarray` [int64], shape (n,)
        The partition of each.
    chunks, subchunks : `numpy.ndarray` [int64], shape (n,)
        Where each was noted first for replicas; -1 if nowhere.
    """

    identifiers: IntArray
    parts: IntArray
    time_parts: IntArray
    chunks: IntArray
    subchunks: IntArray

    @classmethod
    def none(cls) -> "RowKeys":
        """Return no key."""
        return cls(*(np.empty(0, np.int64) for _ in cls.__slots__))

    @property
    def partitions(self) -> list[Partition]:
        """Each partition once."""
        return partitions_of(self.parts, self.time_parts)

    def of(self, identifiers: IntArray) -> "RowKeys":
        """Return the keys of these rows, which are among them, ascending."""
        at = np.searchsorted(self.identifiers, identifiers)
        return RowKeys(*(getattr(self, name)[at] for name in self.__slots__))

    def packed(self) -> bytes:
        """Return the keys as bytes."""
        table = pa.table({name: getattr(self, name) for name in self.__slots__})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return sink.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> "RowKeys":
        """Return what `packed` has packed."""
        table = pa.ipc.open_stream(packed).read_all()
        return cls(*(table.column(name).to_numpy() for name in cls.__slots__))

    def joined(self, later: "RowKeys") -> "RowKeys":
        """Return these keys and later ones; one that comes again keeps its note, and lies where it lies now."""
        again = np.isin(later.identifiers, self.identifiers)
        at = np.searchsorted(self.identifiers, later.identifiers[again])
        chunks, subchunks = later.chunks.copy(), later.subchunks.copy()
        chunks[again], subchunks[again] = self.chunks[at], self.subchunks[at]
        stays = ~np.isin(self.identifiers, later.identifiers)
        columns = (
            (self.identifiers, later.identifiers),
            (self.parts, later.parts),
            (self.time_parts, later.time_parts),
            (self.chunks, chunks),
            (self.subchunks, subchunks),
        )
        joined = [np.concatenate([before[stays], now]) for before, now in columns]
        order = np.argsort(joined[0])
        return RowKeys(*(column[order] for column in joined))


def read_row_keys(connection: Connection, batch: BatchId, kind: str) -> RowKeys:
    """Return the keys of the rows of a visit and detector.

    Parameters
    ----------
    connection : `Connection`
    batch : `BatchId`
    kind : `str`
        ``DiaSource`` or ``DiaForcedSource``.
    """
    rows = connection.read(SELECT, *batch, kind)
    return RowKeys.unpacked(rows[0][0]) if rows else RowKeys.none()
