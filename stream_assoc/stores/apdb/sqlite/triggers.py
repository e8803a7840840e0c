"""The triggers by which SQLite notes what other programs change. See `stream_assoc.stores.apdb.sql.other_writers`.

SQLite has triggers for each row only, and no settings of a session. A batch
therefore begins by writing a row into ``metadata`` that it deletes before it
commits: nobody but itself ever sees it, and the triggers look for it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.rows.tables import CHANGED, CHECKPOINT, COUNTER, TILE, UPDATES
from stream_assoc.stores.apdb.sql.other_records import LAG, OBJECT_RECORDS, REACH_SECONDS
from stream_assoc.stores.apdb.sql.statements import OTHERS_SHARD

_BATCH_KEY: Final = "stream_assoc:batch"

BEGIN_BATCH: Final = f"INSERT INTO metadata (name, value) VALUES ('{_BATCH_KEY}', '')"
"""From here on the triggers leave this transaction alone."""
END_BATCH: Final = f"DELETE FROM metadata WHERE name = '{_BATCH_KEY}'"

_LATEST: Final = """
    FROM "DiaObject" o WHERE o."diaObjectId" = {id} AND o."validityEndMjdTai" IS NULL AND o."validityStartMjdTai" =
        (SELECT max("validityStartMjdTai") FROM "DiaObject" WHERE "diaObjectId" = {id})"""
_IS_UNCOUNTED: Final = """
    (SELECT count(*) FROM "DiaSource" WHERE "diaObjectId" = o."diaObjectId" AND "timeWithdrawnMjdTai" IS NULL)
        IS NOT o."nDiaSources\""""
"""Whether a source that is added is in no version. One with it may have been stored just before."""
_NOTE: Final = f"""
    DELETE FROM "{CHECKPOINT}" WHERE "diaObjectId" = {{id}};
    INSERT INTO "{CHANGED}" ("diaObjectId", tile, is_outdated)
    SELECT o."diaObjectId", o."pixelId" >> {{shift}}, {{is_outdated}}{_LATEST}
    ON CONFLICT ("diaObjectId") DO UPDATE
        SET tile = excluded.tile, is_outdated = is_outdated OR excluded.is_outdated;
    DELETE FROM "{CHANGED}" WHERE "diaObjectId" = {{id}} AND NOT EXISTS (SELECT 1{_LATEST});
    INSERT INTO "{TILE}" (tile, version) SELECT o."pixelId" >> {{shift}}, 1{_LATEST}
    ON CONFLICT (tile) DO UPDATE SET version = version + 1;"""
_RAISE: Final = f"""
    INSERT INTO "{TILE}" (tile, version) VALUES ({{row}}."pixelId" >> {{shift}}, 1)
    ON CONFLICT (tile) DO UPDATE SET version = version + 1;"""
_COUNT: Final = f"""
    INSERT INTO "{COUNTER}" (shard, n_single_source) VALUES ({OTHERS_SHARD}, {{by}})
    ON CONFLICT (shard) DO UPDATE SET n_single_source = n_single_source + excluded.n_single_source;"""
_FORGET: Final = f"""
    DELETE FROM "{CHANGED}" WHERE "diaObjectId" = OLD."diaObjectId";"""
_IS_SINGLE: Final = 'coalesce({row}."nDiaSources" = 1, 0)'

_NOT_IN_BATCH: Final = f"NOT EXISTS (SELECT 1 FROM metadata WHERE name = '{_BATCH_KEY}')"

_FIELD: Final = "json_extract(NEW.update_payload, '$.{name}')"
_KIND, _OBJECT, _SOURCE = (_FIELD.format(name=name) for name in ("update_type", "diaObjectId", "diaSourceId"))
_REPLICA_TRIGGERS: Final = {
    f"stream_assoc_{UPDATES}_insert": f"""BEFORE INSERT ON "{UPDATES}"
WHEN {_NOT_IN_BATCH} AND (
    {_KIND} IN {OBJECT_RECORDS} AND EXISTS (
        SELECT 1 FROM "DiaObjectChunks" n JOIN "ApdbReplicaChunks" c USING (apdb_replica_chunk)
        WHERE n."diaObjectId" = {_OBJECT} AND c.last_update_time >
            strftime('%Y-%m-%d %H:%M:%f', NEW.update_time_ns / 1e9 - {LAG}, 'unixepoch'))
    OR EXISTS (SELECT 1 FROM "DiaSource" WHERE "diaSourceId" = {_SOURCE} AND "diaObjectId" IS NULL))
BEGIN SELECT RAISE(IGNORE); END""",
    "stream_assoc_ApdbReplicaChunks_insert": f"""AFTER INSERT ON "ApdbReplicaChunks"
WHEN {_NOT_IN_BATCH}
BEGIN
    UPDATE "ApdbReplicaChunks" SET last_update_time = NEW.last_update_time
    WHERE last_update_time < NEW.last_update_time
    AND apdb_replica_chunk > CAST(strftime('%s', NEW.last_update_time) AS INTEGER) - {REACH_SECONDS}
    AND apdb_replica_chunk = (
        SELECT max(apdb_replica_chunk) FROM "ApdbReplicaChunks" WHERE apdb_replica_chunk < NEW.apdb_replica_chunk);
END""",
}
"""What an APDB with replication has besides; see `stream_assoc.stores.apdb.sql.other_records`."""

_ROWS: Final = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
"""The rows that a trigger of each event sees."""


def trigger_statements(shift: int, *, is_replicated: bool) -> dict[str, str]:
    """Return the statement that makes each trigger, by its name.

    Parameters
    ----------
    shift : `int`
        Bits between a ``pixelId`` and the tile that it lies in.
    is_replicated : `bool`
        Whether there are tables for replication.
    """
    replica = {name: f'CREATE TRIGGER "{name}" {rest}' for name, rest in _REPLICA_TRIGGERS.items()}
    bodies = {
        "DiaSource": _source,
        "DiaForcedSource": _forced_source,
        "DiaObject": _version,
        "DiaObjectLast": _current,
    }
    return (replica if is_replicated else {}) | {
        name: f'CREATE TRIGGER "{name}" AFTER {event} ON "{table}"\n'
        f"WHEN {_NOT_IN_BATCH}\n"
        f"BEGIN{''.join(body(event, shift))}\nEND"
        for table, body in bodies.items()
        for event in _ROWS
        if (name := f"stream_assoc_{table}_{event.lower()}")
    }


@dataclass(frozen=True, slots=True)
class SqliteTriggers:
    """`Triggers` of an SQLite file."""

    connection: sqlite3.Connection

    def install(self, shift: int) -> Sequence[str]:
        """See `Triggers.install`."""
        return [*self.drop(), *self._statements(shift).values()]

    def drop(self) -> Sequence[str]:
        """See `Triggers.drop`."""
        return [f'DROP TRIGGER IF EXISTS "{name}"' for name in trigger_statements(0, is_replicated=True)]

    def lacking(self, shift: int) -> list[str]:
        """See `Triggers.lacking`."""
        found = dict(self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
        return [name for name, statement in self._statements(shift).items() if found.get(name) != statement]

    def _statements(self, shift: int) -> dict[str, str]:
        select = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        is_replicated = self.connection.execute(select, (UPDATES,)).fetchone() is not None
        return trigger_statements(shift, is_replicated=is_replicated)


def _source(event: str, shift: int) -> Iterator[str]:
    """Note the objects that a source belonged to and belongs to."""
    for row in _ROWS[event]:
        is_outdated = _IS_UNCOUNTED if event == "INSERT" else "1"
        yield _NOTE.format(id=f'{row}."diaObjectId"', shift=shift, is_outdated=is_outdated)


def _forced_source(event: str, shift: int) -> Iterator[str]:
    """Note them likewise. A forced source that is added is counted by the next version."""
    for row in _ROWS[event]:
        yield _NOTE.format(id=f'{row}."diaObjectId"', shift=shift, is_outdated=event != "INSERT")


def _version(event: str, shift: int) -> Iterator[str]:
    for row in _ROWS[event]:
        yield _RAISE.format(row=row, shift=shift)
    yield _NOTE.format(id=f'{_ROWS[event][-1]}."diaObjectId"', shift=shift, is_outdated=False)


def _current(event: str, shift: int) -> Iterator[str]:
    for row in _ROWS[event]:
        yield _RAISE.format(row=row, shift=shift)
    gained = _IS_SINGLE.format(row="NEW") if "NEW" in _ROWS[event] else "0"
    lost = _IS_SINGLE.format(row="OLD") if "OLD" in _ROWS[event] else "0"
    yield _COUNT.format(by=f"{gained} - {lost}")
    if event == "DELETE":
        yield _FORGET
