"""Plans: all rows of a group, written before its commit and applied after it, by anybody and any number of times."""

import hashlib
import io
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.tables import PLAN
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

CHUNK_BYTES: Final = 1024 * 1024
_LENGTH: Final = struct.Struct(">Q")
_TABLE: Final = b"table"
_KIND: Final = b"kind"


@dataclass(frozen=True, slots=True)
class Change:
    """Rows of one table that a plan writes, each primary key once.

    Attributes
    ----------
    table : `str`
    rows : `pyarrow.Table`
        Columns of the table; of a deletion those of its primary key.
    deletes : `bool`
        Whether the rows are deleted.
    overwrites : `bool`
        Whether rows of these keys may be there: then NULL is written where there is no value, or the old one would
        show through. Fresh rows leave it out, because each is a tombstone.
    """

    table: str
    rows: pa.Table
    deletes: bool = False
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as bytes.

    Attributes
    ----------
    chunks : `tuple` [`bytes`, ...]
    digest : `bytes`
        SHA-256 of all of them.
    """

    chunks: tuple[bytes, ...]
    digest: bytes


def encode(changes: Sequence[Change]) -> Plan:
    """Return the plan of these changes; those without rows are left out."""
    body = b"".join(_encoded(change) for change in changes if change.rows.num_rows)
    chunks = tuple(body[begin : begin + CHUNK_BYTES] for begin in range(0, len(body), CHUNK_BYTES))
    return Plan(chunks, hashlib.sha256(body).digest())


def decode(body: bytes) -> Iterator[Change]:
    """Yield what `encode` was given."""
    view, place = memoryview(body), 0
    while place < len(view):
        (length,) = _LENGTH.unpack_from(view, place)
        place += _LENGTH.size
        rows = pa.ipc.open_stream(view[place : place + length]).read_all()
        place += length
        kind = rows.schema.metadata[_KIND].decode()
        table = rows.schema.metadata[_TABLE].decode()
        yield Change(table, rows, deletes=kind == "delete", overwrites=kind == "overwrite")


class Plans:
    """The table of plans. Its rows are under the name of the group, which is the token of the try.

    Parameters
    ----------
    connection : `Connection`
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, group_id: uuid.UUID, plan: Plan) -> None:
        """Write a plan; when this returns a quorum has it."""
        self._connection.write_each(
            f'INSERT INTO "{PLAN}" (group_id, chunk, body) VALUES (?, ?, ?)',
            [(group_id, number, chunk) for number, chunk in enumerate(plan.chunks)],
        )

    def read(self, group_id: uuid.UUID, n_chunks: int, digest: bytes) -> Iterator[Change]:
        """Yield the changes of a committed group.

        Raises
        ------
        ApdbDamagedError
            If the plan is not the one that was committed.
        """
        rows = self._connection.read_each(
            f'SELECT body FROM "{PLAN}" WHERE group_id = ? AND chunk = ?',
            [(group_id, number) for number in range(n_chunks)],
        )
        body = b"".join(chunk for found in rows for (chunk,) in found)
        if hashlib.sha256(body).digest() != digest:
            raise ApdbDamagedError(
                f"the table {PLAN} does not hold the {n_chunks} chunks of the committed group {group_id}: "
                "restore them from a backup"
            )
        return decode(body)

    def delete(self, group_id: uuid.UUID) -> None:
        """Delete the plan of a group that nobody will apply any more."""
        self._connection.write(f'DELETE FROM "{PLAN}" WHERE group_id = ?', group_id)


def _encoded(change: Change) -> bytes:
    kind = "delete" if change.deletes else "overwrite" if change.overwrites else "insert"
    rows = change.rows.replace_schema_metadata({_TABLE: change.table, _KIND: kind})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    return _LENGTH.pack(sink.tell()) + sink.getvalue()
