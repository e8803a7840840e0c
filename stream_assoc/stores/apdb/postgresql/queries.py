"""The queries of a session on PostgreSQL, and the types of their columns."""

from typing import Final

import numpy as np

from stream_assoc.stores.apdb.postgresql.connection import PATIENCE_SETTING
from stream_assoc.stores.apdb.rows.tables import (
    CHANGED,
    CHECKPOINT,
    COUNTER,
    LEDGER,
    LEDGER_COLUMNS,
    OUTBOX,
    POSITION_COLUMNS,
    TILE,
    VERSION_COLUMNS,
    quoted,
)
from stream_assoc.stores.apdb.sql.statements import forced_expressions

LEDGER_QUERY: Final = (
    f"SELECT {quoted(LEDGER_COLUMNS, 'l.')} FROM {{{LEDGER}}} l "
    "JOIN unnest(%s::bigint[], %s::smallint[]) AS b(visit, detector) USING (visit, detector)"
)
TILE_QUERY: Final = (
    f"SELECT t.tile, t.version, o.visit, o.detector, o.revision FROM {{{TILE}}} t "
    f"LEFT JOIN {{{OUTBOX}}} o USING (visit, detector, revision) WHERE t.tile = ANY(%s::bigint[])"
)
READ_TILES: Final = f"SELECT tile, version FROM {{{TILE}}} WHERE tile = ANY(%s::bigint[])"
# Who changes one of these tiles waits for the end of the transaction, or this waits for theirs.
HOLD_TILES: Final = (
    f"INSERT INTO {{{TILE}}} AS t (tile, version) SELECT tile, 0 FROM unnest(%s::bigint[]) AS tile "
    "ON CONFLICT (tile) DO UPDATE SET version = t.version RETURNING tile, version"
)
CHANGED_QUERY: Final = (
    f'SELECT "diaObjectId", tile, is_outdated FROM {{{CHANGED}}} WHERE tile = ANY(%s::bigint[]) ORDER BY 1'
)
FORGET_CHANGED: Final = f'DELETE FROM {{{CHANGED}}} WHERE "diaObjectId" = ANY(%s::bigint[])'
COUNTER_QUERY: Final = f"SELECT coalesce(sum(n_single_source), 0)::bigint FROM {{{COUNTER}}}"

# The latest version is found at the end of its object's stretch of the primary
# key, however many versions there are. It knows the pixelId DiaObjectLast is keyed by.
# By its ctid it is met again at once; by its key the planner may read the whole table to find it.
SUPERSEDE: Final = """
    WITH closed AS (
        UPDATE {DiaObject} o SET "validityEndMjdTai" = e.ends
        FROM unnest(%s::bigint[], %s::float8[]) AS e(id, ends) CROSS JOIN LATERAL (
            SELECT ctid FROM {DiaObject}
            WHERE "diaObjectId" = e.id ORDER BY "validityStartMjdTai" DESC LIMIT 1) latest
        WHERE o.ctid = latest.ctid AND o."validityEndMjdTai" IS NULL
        RETURNING o."pixelId", o."diaObjectId")
    DELETE FROM {DiaObjectLast} l USING closed c
    WHERE l."pixelId" = c."pixelId" AND l."diaObjectId" = c."diaObjectId"
"""
LATEST: Final = """
    FROM unnest(%s::bigint[]) AS asked(id) CROSS JOIN LATERAL (
        SELECT * FROM {DiaObject} WHERE "diaObjectId" = asked.id
        ORDER BY "validityStartMjdTai" DESC LIMIT 1) latest
"""
IS_OPEN: Final = 'latest."validityEndMjdTai" IS NULL'
LATEST_COLUMNS: Final = (*POSITION_COLUMNS[1:], "validityEndMjdTai")
VERSIONS: Final = f"SELECT {quoted(VERSION_COLUMNS, 'latest.')} {LATEST} WHERE {IS_OPEN}"
LATEST_VERSIONS: Final = f"SELECT {quoted(LATEST_COLUMNS, 'latest.')} {LATEST} ORDER BY asked.id"
CHECKPOINTS: Final = (
    f'SELECT "diaObjectId", "validityStartMjdTai", state FROM {{{CHECKPOINT}}} '
    'WHERE "diaObjectId" = ANY(%s::bigint[]) AND layout = %s'
)
VOID_CHECKPOINTS: Final = f'DELETE FROM {{{CHECKPOINT}}} WHERE "diaObjectId" = ANY(%s::bigint[])'
COUNTED: Final = """
    SELECT "diaSourceId", coalesce("diaObjectId", 0) FROM {DiaSource}
    WHERE visit = %s AND detector = %s AND "timeWithdrawnMjdTai" IS NULL ORDER BY "diaSourceId"
"""
POINTS: Final = """
    SELECT {points} FROM {DiaSource} WHERE "diaObjectId" = ANY(%s::bigint[]) AND "timeWithdrawnMjdTai" IS NULL
    AND (visit, detector) IS DISTINCT FROM (%s::bigint, %s::smallint)
    ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId"
"""
LATER_POINTS: Final = """
    SELECT {points} FROM {DiaSource} JOIN unnest(%s::bigint[], %s::float8[]) AS asked(id, after)
        ON "diaObjectId" = id AND "timeProcessedMjdTai" > after
    WHERE "timeWithdrawnMjdTai" IS NULL
    ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId"
"""
FORCED: Final = f"SELECT {forced_expressions('strpos')} FROM {{DiaForcedSource}}"
FORCED_POINTS: Final = f"""
    {FORCED} JOIN unnest(%s::bigint[], %s::float8[], %s::float8[]) AS asked(id, after, until)
        ON "diaObjectId" = id AND "timeProcessedMjdTai" > after AND "timeProcessedMjdTai" <= until
    WHERE "timeWithdrawnMjdTai" IS NULL AND (visit, detector) IS DISTINCT FROM (%s::bigint, %s::smallint)
    ORDER BY "diaObjectId", "timeProcessedMjdTai", visit, detector
"""
COUNTED_FORCED: Final = (
    f'{FORCED} WHERE visit = %s AND detector = %s AND "timeWithdrawnMjdTai" IS NULL ORDER BY "diaObjectId"'
)
# One good source is enough, so the sources of an object are looked at until one is found.
HAVE_SOURCE: Final = """
    SELECT id FROM unnest(%s::bigint[]) AS asked(id) CROSS JOIN LATERAL (
        SELECT 1 FROM {DiaSource} WHERE "diaObjectId" = id AND {condition}
        AND (visit, detector) IS DISTINCT FROM (%s::bigint, %s::smallint) LIMIT 1) good
"""
BUMP_TILES: Final = (
    f"INSERT INTO {{{TILE}}} AS t (tile, version, visit, detector, revision) "
    "SELECT tile, 1, %s, %s, %s FROM unnest(%s::bigint[]) AS tile "
    "ON CONFLICT (tile) DO UPDATE SET version = t.version + 1, visit = excluded.visit, "
    "detector = excluded.detector, revision = excluded.revision RETURNING tile, version"
)
COUNT: Final = (
    f"INSERT INTO {{{COUNTER}}} AS c (shard, n_single_source) VALUES (%s, %s) "
    "ON CONFLICT (shard) DO UPDATE SET n_single_source = c.n_single_source + excluded.n_single_source"
)

GIVE_WAY: Final = "SELECT set_config('lock_timeout', '500ms', true)"
"""Rows within the cells of a session are held by programs that take no cells, or by nobody. PostgreSQL looks
for a deadlock with one after a second (``deadlock_timeout``) and undoes the work of either. The batch gives
way before: it can be tried again, an administrator's program may not know how to."""
WAIT: Final = f"SELECT set_config('lock_timeout', current_setting('{PATIENCE_SETTING}'), true)"
"""Rows that all daemons share, such as a replica chunk, are waited for as long as the settings say."""

MANY: Final = 1000
"""Objects whose versions are ended before the commit. For few, telling the server twice costs more than it saves."""

POSITION_TYPES: Final = ("int8", "int8", "float8", "float8", "float4", "float4", "float8", "int4")
VERSION_TYPES: Final = ("int8", "float8", "float4", "float4", "float4")
POINT_TYPES: Final = (
    *("int8", "float8", "float8", "float8", "float4", "float4", "float4", "float4"),
    *("int4", "bool"),
)
FORCED_TYPES: Final = ("int8", "float8", "float4", "float4", "int4")
POINT_DTYPES: Final = (*[np.float64] * 7, np.int64, np.bool_)
