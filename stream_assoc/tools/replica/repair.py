"""Putting right what a comparison has found.

Rows of the PPDB get the APDB's values, and missing ones are stored. What would
stop the replicator is withdrawn from the APDB's notes first. Rows that a chunk
not replicated yet will change are left alone: the replicator would not find
them as its records expect. What is to be done waits in a temporary file until
the databases are no longer read, because a reader of an SQLite file keeps
others from writing.
"""

import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final

import sqlalchemy as sa

from stream_assoc.stores.apdb.backend import Administration
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.tools.replica.check import Comparing
from stream_assoc.tools.replica.compare import Judgement, Verdict
from stream_assoc.tools.replica.databases import CHUNK, PPDB_CHUNKS, Side, chunks_of
from stream_assoc.tools.replica.exceptions import ReplicaBusyError

_AT_ONCE: Final = 1000


class _Spool:
    """Things to do, in a temporary file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the plan

    def add(self, *thing: object) -> None:
        self._file.write(json.dumps(thing) + "\n")

    def portions(self) -> Iterator[list[list[Any]]]:
        self._file.seek(0)
        while lines := list(islice(self._file, _AT_ONCE)):
            yield [json.loads(line) for line in lines]

    def close(self) -> None:
        self._file.close()


class Repair:
    """What a comparison wants done; close it after use."""

    def __init__(self) -> None:
        self._withdrawals = _Spool()
        self._rows = _Spool()

    def add(self, table: str, judgement: Judgement) -> None:
        """Add what was found out about rows of a table."""
        for key in judgement.notes:
            self._withdrawals.add(table, key)
        for record in judgement.records:
            self._withdrawals.add("", record.id)
        for pair, verdict, differing in judgement.rows:
            if pair.apdb is not None and verdict is Verdict.MISSING:
                self._rows.add(table, (), (), pair.apdb)
            elif pair.apdb is not None and verdict is Verdict.DIFFERENT:
                self._rows.add(table, pair.key, differing, pair.apdb)

    def carry_out(self, apdb: Administration, ppdb: Side, compared: Comparing) -> None:
        """Do it, each portion in a transaction; what has been done before is done again without harm.

        Parameters
        ----------
        apdb : `~stream_assoc.stores.apdb.backend.Administration`
            Of the APDB that was compared.
        ppdb : `Side`
            The PPDB that was compared.
        compared : `Comparing`
            The comparison, which has ended.

        Raises
        ------
        ReplicaBusyError
            If the replicator has gone on meanwhile. Portions before stay done.
        ReplicaUnavailableError, ApdbUnavailableError
            If a database cannot be reached, or others hold it.
        """
        for portion in self._withdrawals.portions():
            by_table: dict[str, list[Sequence[object]]] = {}
            for table, key in portion:
                by_table.setdefault(table, []).append(key)
            records = by_table.pop("", [])
            apdb.withdraw_notes(by_table, records)
        for portion in self._rows.portions():
            with ppdb.transaction() as connection:
                _hold(connection, ppdb, compared.replicated)
                for (table, _, differing), things in groupby(portion, key=_shape):
                    _write(connection, ppdb.table(table), differing, [(key, row) for _, key, _, row in things])
        if compared.changed:
            with ppdb.transaction() as connection:
                _hold(connection, ppdb, compared.replicated)
                _note_changed(connection, ppdb.table(PPDB_CHUNKS), compared.changed)

    def close(self) -> None:
        """Forget it."""
        self._withdrawals.close()
        self._rows.close()


def _hold(connection: sa.Connection, ppdb: Side, replicated: frozenset[int]) -> None:
    """Keep the replicator out until the transaction ends, if it has copied nothing since the comparison."""
    if not ppdb.is_sqlite:
        name = connection.dialect.identifier_preparer.format_table(ppdb.table(PPDB_CHUNKS))
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
    if chunks_of(connection, ppdb, PPDB_CHUNKS).keys() != replicated:
        raise ReplicaBusyError(
            "the replicator has gone on since the PPDB was compared, so the rest is left undone; stop it and run "
            "`stream-assoc replica repair` again"
        )


def _note_changed(connection: sa.Connection, chunks: sa.Table, changed: Mapping[int, uuid.UUID]) -> None:
    is_text = isinstance(chunks.c.unique_id.type, sa.String)
    for chunk, identifier in changed.items():
        value = identifier.hex if is_text else identifier
        connection.execute(chunks.update().where(chunks.c[CHUNK] == chunk).values(unique_id=value))


def _shape(thing: Sequence[Any]) -> tuple[str, bool, tuple[str, ...]]:
    """Return what things that one statement does have in common."""
    table, key, differing, _ = thing
    return table, bool(key), tuple(differing)


def _write(
    connection: sa.Connection,
    table: sa.Table,
    differing: Sequence[str],
    rows: Sequence[tuple[Sequence[object], Mapping[str, Any]]],
) -> None:
    """Store new rows if no columns are named, else give these columns of stored rows their values."""
    if not differing:
        connection.execute(table.insert(), [dict(row) for _, row in rows])
        return
    keys = KEYS[table.name]
    found = sa.and_(*(table.c[name] == sa.bindparam(f"key_{name}") for name in keys))
    statement = table.update().where(found).values({name: sa.bindparam(f"new_{name}") for name in differing})
    connection.execute(
        statement,
        [
            {f"key_{name}": value for name, value in zip(keys, key, strict=True)}
            | {f"new_{name}": row[name] for name in differing}
            for key, row in rows
        ],
    )
