"""The triggers by which SQLite notes what other programs change. See `stream_assoc.stores.apdb.sql.other_writers`.

SQLite has triggers for each row only, and no settings of a session. A batch
therefore begins by writing a row into ``metadata`` that it deletes before it
commits: nobody but itself ever sees it, and the triggers look for it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.sql.statements import CHANGED, COUNTER, TILE

_BATCH_KEY: Final = "stream_assoc:batch"

BEGIN_BATCH: Final = f"INSERT INTO metadata (name, value) VALUES ('{_BATCH_KEY}', '')"
"""From here on the triggers leave this transaction alone."""
END_BATCH: Final = f"DELETE FROM metadata WHERE name = '{_BATCH_KEY}'"

_LATEST: Final = """
    FROM "DiaObject" o WHERE o."diaObjectId" = {id} AND o."validityEndMjdTai" IS NULL AND o."validityStartMjdTai" =
        (SELECT max("validityStartMjdTai") FROM "DiaObject" WHERE "diaObjectId" = {id})"""
_NOTE: Final = f"""
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
    INSERT INTO "{COUNTER}" (shard, n_single_source) VALUES (0, {{by}})
    ON CONFLICT (shard) DO UPDATE SET n_single_source = n_single_source + excluded.n_single_source;"""
_FORGET: Final = f"""
    DELETE FROM "{CHANGED}" WHERE "diaObjectId" = OLD."diaObjectId";"""
_IS_SINGLE: Final = 'coalesce({row}."nDiaSources" = 1, 0)'

_ROWS: Final = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
"""The rows that a trigger of each event sees."""


def trigger_statements(shift: int) -> dict[str, str]:
    """Return the statement that makes each trigger, by its name.

    Parameters
    ----------
    shift : `int`
        Bits between a ``pixelId`` and the tile that it lies in.
    """
    bodies = {"DiaSource": _source, "DiaForcedSource": _source, "DiaObject": _version, "DiaObjectLast": _current}
    return {
        name: f'CREATE TRIGGER "{name}" AFTER {event} ON "{table}"\n'
        f"WHEN NOT EXISTS (SELECT 1 FROM metadata WHERE name = '{_BATCH_KEY}')\n"
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
        return [*self.drop(), *trigger_statements(shift).values()]

    def drop(self) -> Sequence[str]:
        """See `Triggers.drop`."""
        return [f'DROP TRIGGER IF EXISTS "{name}"' for name in trigger_statements(0)]

    def lacking(self, shift: int) -> list[str]:
        """See `Triggers.lacking`."""
        found = dict(self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
        return [name for name, statement in trigger_statements(shift).items() if found.get(name) != statement]


def _source(event: str, shift: int) -> Iterator[str]:
    """Note the objects that a source belonged to and belongs to. One that is added comes with a version, mostly."""
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
