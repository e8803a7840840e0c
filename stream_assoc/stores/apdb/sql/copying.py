"""`CopySource` on an SQL database."""

import datetime
import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb import copying
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.copying import CopiedTable, Key
from stream_assoc.stores.apdb.reading.answers import Row, table_of
from stream_assoc.stores.apdb.rows.tables import COUNTER, FURTHER, KEYS
from stream_assoc.stores.apdb.sql.compatibility import check_compatible
from stream_assoc.stores.apdb.sql.database import ALL_TABLES
from stream_assoc.stores.apdb.sql.moment import SqlMoment

ONLY_TO_CASSANDRA: Final = (
    "the setting apdb.url names an SQL database, and an APDB is copied to Cassandra: write cassandra://host1,host2/"
    "keyspace; SQL databases have tools of their own (`sqlite3 .backup`, pg_dump)"
)

_ROWS_OF_A_FINGERPRINT: Final = 10_000

_SIGNS: Final = (
    (copying.TILES, copying.TILES.schema.names),
    (copying.LEDGER, ("visit", "detector", "revision", "digest")),
    (copying.OUTBOX, ("sequence", "visit", "detector", "revision")),
    (copying.IN_HAND, copying.IN_HAND.schema.names),
    (copying.CHANGED, copying.CHANGED.schema.names),
)
"""Tables in which whoever stores, publishes or changes something leaves a sign of it: batches, triggers, daemons."""
_SIGNS_OF_REPLICAS: Final = (
    (copying.CHUNKS, ("apdb_replica_chunk", "last_update_time")),
    (copying.UPDATES, ("apdb_replica_chunk", "update_time_ns", "update_order")),
)


class SqlCopySource:
    """What is copied of an SQL database.

    Parameters
    ----------
    moment : `SqlMoment`
        All of it is read as it was then.

    Raises
    ------
    ApdbSchemaError
        If it is no APDB of this version.
    """

    def __init__(self, moment: SqlMoment) -> None:
        self._moment = moment
        tables = [name for name in ALL_TABLES if moment.column_names(name)]
        self._notes: dict[str, str] = dict(
            moment.fetch("SELECT name, value FROM {metadata}") if "metadata" in tables else ()
        )
        self.report: ApdbReport = check_compatible(self._notes, tables)

    def fingerprint(self) -> str:
        """See `CopySource.fingerprint`."""
        digest = hashlib.sha256(repr(sorted(self._notes.items())).encode())
        signs = (*_SIGNS, *(_SIGNS_OF_REPLICAS if self.report.replication else ()))
        for table, columns in signs:
            digest.update(table.name.encode())
            for rows in self._spans(table, columns, _ROWS_OF_A_FINGERPRINT, None):
                digest.update(repr([tuple(map(_plain, row)) for row in rows]).encode())
        digest.update(str(self.single_source_objects()).encode())
        return digest.hexdigest()

    def tables(self) -> list[CopiedTable]:
        """See `CopySource.tables`."""
        keys = KEYS["DiaObject"]
        further = [*keys, *(name for name in self._moment.column_names(FURTHER) if name not in keys)]
        return [
            copying.OBJECTS,
            copying.LAST,
            copying.SOURCES,
            copying.FORCED_SOURCES,
            copying.further_table(further),
            copying.CHECKPOINTS,
            copying.LEDGER,
            copying.OUTBOX,
            copying.IN_HAND,
            copying.CHANGED,
            *(copying.REPLICAS if self.report.replication else ()),
            copying.TILES,
        ]

    def estimated_rows(self) -> Mapping[str, int]:
        """See `CopySource.estimated_rows`."""
        return self._moment.estimated_rows()

    def stretches(self, table: CopiedTable, after: Key | None = None) -> Iterator[pa.Table]:
        """See `CopySource.stretches`."""
        for rows in self._spans(table, table.schema.names, table.rows_at_once, after):
            converted = [tuple(map(_converted, table.schema.types, row)) for row in rows] if _has_ids(table) else rows
            yield table_of(table.schema, [converted])

    def renewed(self, times: Sequence[float]) -> dict[float, IntArray]:
        """See `CopySource.renewed`."""
        marks = ", ".join("?" * len(times))
        rows = self._moment.fetch(
            'SELECT "validityStartMjdTai", "diaObjectId" FROM {DiaObject} '
            f'WHERE "validityStartMjdTai" IN ({marks})',
            times,
        )
        found: dict[float, list[int]] = {time: [] for time in times}
        for time, identifier in rows:
            found[time].append(identifier)
        return {time: np.unique(np.array(ids, np.int64)) for time, ids in found.items()}

    def single_source_objects(self) -> int:
        """See `CopySource.single_source_objects`."""
        ((number,),) = self._moment.fetch(f"SELECT coalesce(sum(n_single_source), 0) FROM {{{COUNTER}}}")
        return int(number)

    def _spans(
        self, table: CopiedTable, columns: Sequence[str], rows_at_once: int, after: Key | None
    ) -> Iterator[list[Row]]:
        """Yield the rows after a key, in the order of keys; those of one key together."""
        key = ", ".join(f't."{name}"' for name in table.key)
        marks = ", ".join("?" * len(table.key))
        order = ", ".join(f't."{name}"' for name in dict.fromkeys((*table.key, *table.row_key)))
        selected = f"SELECT {self._selected(table, columns)} FROM {{{table.name}}} t{self._joined(table, columns)}"
        is_last = False
        while not is_last:
            condition = [] if after is None else [f"({key}) > ({marks})"]
            parameters = () if after is None else after
            bounds = self._moment.fetch(
                f"SELECT {key} FROM {{{table.name}}} t {_where(condition)} ORDER BY {key} "
                f"LIMIT 1 OFFSET {rows_at_once - 1}",
                parameters,
            )
            is_last = not bounds
            for bound in bounds:
                condition.append(f"({key}) <= ({marks})")
                parameters = (*parameters, *bound)
                after = bound
            rows = self._moment.fetch(f"{selected} {_where(condition)} ORDER BY {order}", parameters)
            if rows:
                yield rows

    def _selected(self, table: CopiedTable, columns: Sequence[str]) -> str:
        return ", ".join(
            (f'c."{name}"' if self.report.replication else "NULL")
            if table.row_key and name == copying.CHUNK
            else f't."{name}"'
            for name in columns
        )

    def _joined(self, table: CopiedTable, columns: Sequence[str]) -> str:
        if not table.row_key or copying.CHUNK not in columns or not self.report.replication:
            return ""
        same = " AND ".join(f'c."{name}" = t."{name}"' for name in table.row_key)
        return f" LEFT JOIN {{{table.name}Chunks}} c ON {same}"


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def _has_ids(table: CopiedTable) -> bool:
    return table in copying.REPLICAS


def _converted(kind: pa.DataType, value: Any) -> Any:  # noqa: ANN401 - whatever the database holds
    """Return a value in the type that each database has in its own way."""
    if pa.types.is_fixed_size_binary(kind):
        return uuid.UUID(str(value)).bytes
    if pa.types.is_timestamp(kind):
        time = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        # Cassandra keeps milliseconds.
        return time.replace(tzinfo=None, microsecond=time.microsecond // 1000 * 1000)
    return value


def _plain(value: Any) -> Any:  # noqa: ANN401 - the same
    return bytes(value) if isinstance(value, memoryview) else value
