"""What a PostgreSQL server tells of its settings and of the APDB's tables."""

from typing import Final

import psycopg

from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.catalogue import find_schema
from stream_assoc.stores.apdb.postgresql.connection import translated
from stream_assoc.stores.apdb.server import ApdbServer, ServerSetting
from stream_assoc.stores.apdb.sql.database import ALL_TABLES

_SETTINGS: Final = """
    SELECT name, setting, current_setting(name), unit, coalesce(enumvals, '{}') FROM pg_settings
    WHERE setting IS NOT NULL
"""
_TABLES: Final = """
    SELECT c.relname, c.relpersistence::text,
        ARRAY(SELECT option_name || '=' || option_value FROM pg_options_to_table(c.reloptions))
    FROM pg_class c WHERE c.relnamespace = %s AND c.relname = ANY(%s) AND c.relkind IN ('r', 'p')
    ORDER BY c.relname
"""
_STANDBYS: Final = """
    SELECT application_name, sync_state IN ('sync', 'quorum') AND current_setting('synchronous_commit') <> 'local'
    FROM pg_stat_replication
    WHERE state IN ('streaming', 'catchup') AND application_name NOT IN ('pg_basebackup', 'pg_receivewal')
    ORDER BY application_name
"""
_UNLOGGED: Final = "u"


def read_server(conninfo: str, namespace: str | None, patience: Patience) -> ApdbServer:
    """Return the settings in force for a user, and the options of the tables, which need not be there.

    Raises
    ------
    ApdbConfigurationError
        If the server refuses the user.
    ApdbUnavailableError
        If it cannot be reached.
    """
    parameters = psycopg.conninfo.conninfo_to_dict(conninfo)
    parameters.setdefault("connect_timeout", max(2, round(patience.connect_seconds)))
    asked = psycopg.conninfo.make_conninfo("", **parameters)
    with translated(), psycopg.connect(asked, prepare_threshold=None) as connection, translated(connection):
        connection.read_only = True
        settings = {
            name: ServerSetting(value, shown, unit, tuple(choices))
            for name, value, shown, unit, choices in connection.execute(_SETTINGS)
        }
        ((is_standby,),) = connection.execute("SELECT pg_is_in_recovery()").fetchall()
        standbys = connection.execute(_STANDBYS).fetchall()
        schema = find_schema(connection, namespace)
        tables = [] if schema is None else connection.execute(_TABLES, (schema.oid, list(ALL_TABLES))).fetchall()
        return ApdbServer(
            version=connection.info.server_version // 10_000,
            is_local=connection.info.host.startswith("/"),
            is_standby=is_standby,
            settings=settings,
            table_options={name: dict(one.split("=", 1) for one in options) for name, _, options in tables},
            unlogged_tables=tuple(name for name, persistence, _ in tables if persistence == _UNLOGGED),
            asynchronous_standbys=() if any(waits for _, waits in standbys) else tuple(name for name, _ in standbys),
        )
