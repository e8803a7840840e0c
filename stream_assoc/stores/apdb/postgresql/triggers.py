"""The triggers by which PostgreSQL notes what others change; see `stream_assoc.stores.apdb.sql.other_writers`.

They run for each row, and a batch switches them off by a setting of its
session, which the WHEN clause reads: that costs a batch less than a statement
trigger, for which the server keeps a copy of all rows whether it is wanted or
not. The functions run with the rights of whoever ran ``apdb init``, because an
administrator's role need not have rights on our tables. They look for tables
in the schema of the table that has changed, whatever it is called by then.

A transaction raises a tile once and notes an object once, however many rows it
changes: PostgreSQL keeps every version of a row until the transaction is over,
and has to walk through all of them to find the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from stream_assoc.stores.apdb.postgresql.catalogue import Schema
from stream_assoc.stores.apdb.rows.tables import CHANGED, CHECKPOINT, COUNTER, TILE, UPDATES
from stream_assoc.stores.apdb.sql.other_records import LAG, OBJECT_RECORDS, REACH_SECONDS
from stream_assoc.stores.apdb.sql.statements import OTHERS_SHARD

BATCH_SETTING: Final = "stream_assoc.batch"
"""``on`` in the sessions of batches, which keep versions and notes themselves."""

# In the words in which the server gives it back.
_CONDITION: Final = f"(current_setting('{BATCH_SETTING}'::text, true) IS DISTINCT FROM 'on'::text)"
_EACH_ROW: Final = f"FOR EACH ROW WHEN ({_CONDITION})"

_HERE: Final = "PERFORM set_config('search_path', format('pg_catalog, %I, pg_temp', TG_TABLE_SCHEMA), true);"
"""First of every trigger function; the setting ends with it.

The catalogue comes before the schema, where others may be free to make an operator of the same name."""

_BODIES: Final = {
    # The triggers call the others.
    "stream_assoc_raise(pixel bigint) RETURNS void": f"""
BEGIN
    INSERT INTO "{TILE}" AS t (tile, version) VALUES (pixel >> {{shift}}, 1)
    ON CONFLICT (tile) DO UPDATE SET version = t.version + 1 WHERE t.xmin <> pg_current_xact_id()::xid;
END""",
    "stream_assoc_note(id bigint, outdated boolean) RETURNS void": f"""
DECLARE
    latest record;
    raised bigint;
BEGIN
    -- A batch that is about to move or close the object holds its tile; once it is ours the object stays there.
    LOOP
        SELECT "pixelId" >> {{shift}} AS tile, "pixelId" AS pixel, "validityEndMjdTai" AS ended INTO latest
        FROM "DiaObject" WHERE "diaObjectId" = id ORDER BY "validityStartMjdTai" DESC LIMIT 1;
        EXIT WHEN NOT FOUND OR latest.ended IS NOT NULL OR latest.tile = raised;
        PERFORM stream_assoc_raise(latest.pixel);
        raised := latest.tile;
    END LOOP;
    -- Not before: a batch that holds the tile may be writing one.
    DELETE FROM "{CHECKPOINT}" WHERE "diaObjectId" = id;
    IF latest.tile = raised AND latest.ended IS NULL THEN
        INSERT INTO "{CHANGED}" AS c ("diaObjectId", tile, is_outdated) VALUES (id, raised, outdated)
        ON CONFLICT ("diaObjectId") DO UPDATE
            SET tile = excluded.tile, is_outdated = c.is_outdated OR excluded.is_outdated
            WHERE c.tile <> excluded.tile OR c.is_outdated < excluded.is_outdated;
    ELSE
        DELETE FROM "{CHANGED}" WHERE "diaObjectId" = id;
    END IF;
END""",
    "stream_assoc_is_counted(id bigint) RETURNS boolean": """
BEGIN
    RETURN (SELECT count(*) FROM "DiaSource" WHERE "diaObjectId" = id AND "timeWithdrawnMjdTai" IS NULL)
        IS NOT DISTINCT FROM (
            SELECT "nDiaSources" FROM "DiaObject" WHERE "diaObjectId" = id
            ORDER BY "validityStartMjdTai" DESC LIMIT 1);
END""",
    "stream_assoc_source_changed() RETURNS trigger": f"""
BEGIN
    {_HERE}
    IF TG_OP <> 'INSERT' THEN
        PERFORM stream_assoc_note(OLD."diaObjectId", true);
        IF TG_OP = 'UPDATE' THEN
            PERFORM stream_assoc_note(NEW."diaObjectId", true);
        END IF;
    ELSE
        -- A version with this source may have been stored just before.
        -- A forced source is counted by the next version.
        PERFORM stream_assoc_note(
            NEW."diaObjectId", TG_TABLE_NAME = 'DiaSource' AND NOT stream_assoc_is_counted(NEW."diaObjectId"));
    END IF;
    RETURN NULL;
END""",
    "stream_assoc_version_changed() RETURNS trigger": f"""
BEGIN
    {_HERE}
    IF TG_OP <> 'INSERT' THEN
        PERFORM stream_assoc_raise(OLD."pixelId");
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM stream_assoc_raise(NEW."pixelId");
        PERFORM stream_assoc_note(NEW."diaObjectId", false);
    ELSE
        PERFORM stream_assoc_note(OLD."diaObjectId", false);
    END IF;
    RETURN NULL;
END""",
    "stream_assoc_current_changed() RETURNS trigger": f"""
DECLARE
    difference integer := 0;
BEGIN
    {_HERE}
    IF TG_OP <> 'INSERT' THEN
        PERFORM stream_assoc_raise(OLD."pixelId");
        difference := difference - coalesce((OLD."nDiaSources" = 1)::int, 0);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM stream_assoc_raise(NEW."pixelId");
        difference := difference + coalesce((NEW."nDiaSources" = 1)::int, 0);
    ELSE
        DELETE FROM "{CHANGED}" WHERE "diaObjectId" = OLD."diaObjectId";
    END IF;
    IF difference <> 0 THEN
        INSERT INTO "{COUNTER}" AS c (shard, n_single_source) VALUES ({OTHERS_SHARD}, difference)
        ON CONFLICT (shard) DO UPDATE SET n_single_source = c.n_single_source + excluded.n_single_source;
    END IF;
    RETURN NULL;
END""",
    "stream_assoc_truncated() RETURNS trigger": f"""
BEGIN
    {_HERE}
    UPDATE "{TILE}" SET version = version + 1;
    INSERT INTO "{CHANGED}" AS c ("diaObjectId", tile, is_outdated)
    SELECT "diaObjectId", "pixelId" >> {{shift}}, true FROM "DiaObjectLast"
    ON CONFLICT ("diaObjectId") DO UPDATE SET is_outdated = true;
    DELETE FROM "{CHECKPOINT}";
    DELETE FROM "{COUNTER}";
    INSERT INTO "{COUNTER}" (shard, n_single_source)
    SELECT {OTHERS_SHARD}, count(*) FROM "DiaObjectLast" WHERE "nDiaSources" = 1;
    RETURN NULL;
END""",
}
"""The functions: what comes before and after the language."""

_REPLICA_BODIES: Final = {
    "stream_assoc_record_noted() RETURNS trigger": f"""
DECLARE
    payload jsonb := NEW.update_payload::jsonb;
    kind text := payload ->> 'update_type';
    object_id bigint := payload ->> 'diaObjectId';
    source_id bigint := payload ->> 'diaSourceId';
    since timestamptz;
BEGIN
    {_HERE}
    IF source_id IS NOT NULL THEN
        IF EXISTS (SELECT FROM "DiaSource" WHERE "diaSourceId" = source_id AND "diaObjectId" IS NULL) THEN
            RETURN NULL;
        END IF;
    ELSIF kind IN {OBJECT_RECORDS} THEN
        since := to_timestamp(NEW.update_time_ns / 1e9 - {LAG});
        IF EXISTS (
            SELECT FROM "DiaObjectChunks" n JOIN "ApdbReplicaChunks" c USING (apdb_replica_chunk)
            WHERE n."diaObjectId" = object_id AND c.last_update_time > since)
        THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN NEW;
END""",
    "stream_assoc_chunk_begun() RETURNS trigger": f"""
BEGIN
    {_HERE}
    UPDATE "ApdbReplicaChunks" SET last_update_time = NEW.last_update_time
    WHERE last_update_time < NEW.last_update_time
    AND apdb_replica_chunk > extract(epoch FROM NEW.last_update_time) - {REACH_SECONDS}
    AND apdb_replica_chunk = (
        SELECT max(apdb_replica_chunk) FROM "ApdbReplicaChunks" WHERE apdb_replica_chunk < NEW.apdb_replica_chunk);
    RETURN NULL;
END""",
}
"""What an APDB with replication has besides; see `stream_assoc.stores.apdb.sql.other_records`."""

_AS_OWNER: Final = "SECURITY DEFINER SET search_path = pg_catalog"
_OF_OWNER: Final = (True, ["search_path=pg_catalog"])
_OF_CALLER: Final = (False, None)
"""The same, and its absence, in the server's catalogue."""


@dataclass(frozen=True, slots=True)
class _Trigger:
    """A trigger: its table and name, when it runs, and what."""

    table: str
    name: str
    events: str
    each: str
    function: str

    @property
    def definition(self) -> list[object]:
        """What the server's catalogue holds of when it runs, as `_INSTALLED` asks for it."""
        words = f"{self.events} {self.each}"
        kind = sum(bit for word, bit in _TYPE_BITS.items() if word in words)
        return [kind, True, _CONDITION if self.each == _EACH_ROW else None]


_ROW_TRIGGER: Final = "stream_assoc_rows"
_TRUNCATE_TRIGGER: Final = "stream_assoc_truncate"

_TRIGGERS: Final = tuple(
    trigger
    for table, function in {
        "DiaSource": "stream_assoc_source_changed",
        "DiaForcedSource": "stream_assoc_source_changed",
        "DiaObject": "stream_assoc_version_changed",
        "DiaObjectLast": "stream_assoc_current_changed",
    }.items()
    for trigger in (
        _Trigger(table, _ROW_TRIGGER, "AFTER INSERT OR DELETE OR UPDATE", _EACH_ROW, function),
        _Trigger(table, _TRUNCATE_TRIGGER, "AFTER TRUNCATE", "FOR EACH STATEMENT", "stream_assoc_truncated"),
    )
)
_REPLICA_TRIGGERS: Final = (
    _Trigger(UPDATES, _ROW_TRIGGER, "BEFORE INSERT", _EACH_ROW, "stream_assoc_record_noted"),
    _Trigger("ApdbReplicaChunks", _ROW_TRIGGER, "AFTER INSERT", _EACH_ROW, "stream_assoc_chunk_begun"),
)

_CALLED: Final = tuple(signature.partition("(")[0] for signature in _BODIES if not signature.endswith("trigger"))

_TYPE_BITS: Final = {"FOR EACH ROW": 1, "BEFORE": 2, "INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}
"""Of ``pg_trigger.tgtype``."""

# pg_get_triggerdef would wait for whoever holds the table. Without a table pg_get_expr waits for nobody,
# but takes no condition on the columns of a row, which none of ours is.
_INSTALLED: Final = """
    SELECT c.relname, t.tgname, p.prosrc, p.prosecdef, p.proconfig, t.tgtype::integer,
        t.tgattr::text = '' AND t.tgconstraint = 0 AND t.tgoldtable IS NULL AND t.tgnewtable IS NULL,
        CASE WHEN position('{VAR ' IN t.tgqual::text) > 0 THEN 'on columns' ELSE pg_get_expr(t.tgqual, 0) END
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE c.relnamespace = %s AND t.tgname = ANY(%s) AND t.tgenabled IN ('O', 'A')
    UNION ALL
    SELECT '', p.proname, p.prosrc, p.prosecdef, p.proconfig, NULL, NULL, NULL FROM pg_proc p
    WHERE p.pronamespace = %s AND p.proname = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class PostgresqlTriggers:
    """`Triggers` of an APDB in one schema.

    Attributes
    ----------
    connection : `psycopg.Connection`
    schema : `Schema`
    names : mapping
        Full, quoted name of each table.
    """

    connection: psycopg.Connection[Any]
    schema: Schema
    names: Mapping[str, str]

    def install(self, shift: int) -> Sequence[str]:
        """See `Triggers.install`."""
        functions = [
            f"CREATE OR REPLACE FUNCTION {self._name}.{signature} LANGUAGE plpgsql "
            f"{_AS_OWNER if signature.endswith('trigger') else ''} AS $body${body.format(shift=shift)}$body$"
            for signature, body in self._bodies.items()
        ]
        triggers = [
            statement
            for one in self._triggers
            for statement in (
                f"DROP TRIGGER IF EXISTS {one.name} ON {self.names[one.table]}",
                f"CREATE TRIGGER {one.name} {one.events} ON {self.names[one.table]} {one.each} "
                f"EXECUTE FUNCTION {self._name}.{one.function}()",
            )
        ]
        return [*functions, *triggers]

    def drop(self) -> Sequence[str]:
        """See `Triggers.drop`: the triggers go with the functions that they call."""
        return [
            f"DROP FUNCTION IF EXISTS {self._name}.{signature.partition(' RETURNS')[0]} CASCADE"
            for signature in _BODIES | _REPLICA_BODIES
        ]

    def lacking(self, shift: int) -> list[str]:
        """See `Triggers.lacking`."""
        wanted = [_ROW_TRIGGER, _TRUNCATE_TRIGGER]
        rows = self.connection.execute(
            _INSTALLED, (self.schema.oid, wanted, self.schema.oid, list(_CALLED))
        ).fetchall()
        found = {(table, name): form for table, name, *form in rows}
        return [
            f"{name} on {table}" if table else name
            for (table, name), form in self._expected(shift).items()
            if found.get((table, name)) != form
        ]

    @property
    def _name(self) -> str:
        return self.schema.quoted(self.connection)

    @property
    def _bodies(self) -> Mapping[str, str]:
        return _BODIES | _REPLICA_BODIES if self._is_replicated else _BODIES

    @property
    def _triggers(self) -> Sequence[_Trigger]:
        return _TRIGGERS + _REPLICA_TRIGGERS if self._is_replicated else _TRIGGERS

    @property
    def _is_replicated(self) -> bool:
        rows = self.connection.execute("SELECT to_regclass(%s) IS NOT NULL", (self.names[UPDATES],)).fetchall()
        return bool(rows[0][0])

    def _expected(self, shift: int) -> dict[tuple[str, str], list[object]]:
        bodies = {signature.partition("(")[0]: body.format(shift=shift) for signature, body in self._bodies.items()}
        called: dict[tuple[str, str], list[object]] = {
            ("", name): [bodies[name], *_OF_CALLER, None, None, None] for name in _CALLED
        }
        return called | {
            (one.table, one.name): [bodies[one.function], *_OF_OWNER, *one.definition] for one in self._triggers
        }
