"""What a real server tells of its settings."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.server import ApdbServer
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.tuning.harm import harms
from stream_assoc.tools.tuning.machine import Load
from tests.documentation.session import wait_until

pytestmark = pytest.mark.integration


def told(url: str, namespace: str | None = None) -> ApdbServer:
    server = parse_url(url, namespace).server(DEFAULT_PATIENCE)
    assert server is not None
    return server


def test_settings_are_those_in_force(postgresql_apdb_url: str) -> None:
    server = told(postgresql_apdb_url)
    with psycopg.connect(postgresql_apdb_url) as connection:
        shown: dict[str, str] = dict(
            connection.execute("SELECT name, current_setting(name) FROM pg_settings").fetchall()
        )
        assert server.version == connection.info.server_version // 10_000
    # It asks in a transaction that can change nothing.
    told_of = {name: one.shown for name, one in server.settings.items() if name != "transaction_read_only"}
    assert told_of.items() <= shown.items()
    assert server.settings["shared_buffers"].unit == "8kB"
    assert "off" in server.settings["wal_compression"].choices
    assert not server.is_standby
    assert server.unlogged_tables == ()
    # That of a database which this version has made.
    assert server.table_options["DiaObject"]["fillfactor"] == "50"
    assert "DiaSource" in server.table_options


def test_settings_of_a_user_and_options_of_tables_count(postgresql_apdb_url: str) -> None:
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET statement_timeout = '5s'").format(name))
        connection.execute('ALTER TABLE "DiaSource" SET (autovacuum_enabled = off)')
        connection.execute('ALTER TABLE "DiaObject" RESET (fillfactor)')
        connection.execute('ALTER TABLE "StreamAssocTile" SET UNLOGGED')
    found = {one.setting: one for one in harms(told(postgresql_apdb_url), Load())}
    expected = {"statement_timeout", "autovacuum_enabled of DiaSource", "fillfactor of DiaObject"}
    assert expected | {"table StreamAssocTile"} <= found.keys()
    with psycopg.connect(postgresql_apdb_url, autocommit=True, options="-c statement_timeout=0") as connection:
        # What is advised of a table is a statement.
        for one in (found["fillfactor of DiaObject"], found["table StreamAssocTile"]):
            connection.execute(one.advised.encode())
        connection.execute(found["autovacuum_enabled of DiaSource"].advised.encode())
        connection.execute(sql.SQL("ALTER DATABASE {} RESET statement_timeout").format(name))
    left = {one.setting for one in harms(told(postgresql_apdb_url), Load())}
    assert found.keys() - left == expected | {"table StreamAssocTile"}


def test_a_user_without_rights_learns_what_a_server_tells(postgresql_apdb_url: str) -> None:
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS advised_nobody")
        connection.execute("CREATE ROLE advised_nobody LOGIN PASSWORD 'nothing'")
    parts = urlsplit(postgresql_apdb_url)
    host = parts.netloc.rpartition("@")[2]
    asked = parts._replace(netloc=f"advised_nobody:nothing@{host}").geturl()
    try:
        server = told(asked)
    finally:
        with psycopg.connect(postgresql_apdb_url, autocommit=True) as connection:
            connection.execute("DROP ROLE advised_nobody")
    assert {"shared_buffers", "fsync", "full_page_writes", "synchronous_commit"} <= server.settings.keys()
    assert "DiaObject" in server.table_options


def test_a_database_without_an_apdb_has_settings_too(postgresql_database: str) -> None:
    server = told(postgresql_database)
    assert server.table_options == {}
    assert told(postgresql_database, "nowhere").settings.keys() == server.settings.keys()


def test_a_file_has_no_server() -> None:
    assert parse_url("sqlite:///night.db").server(DEFAULT_PATIENCE) is None


def test_a_server_that_is_away_is_told() -> None:
    with pytest.raises(ApdbUnavailableError, match=r"apdb\.url"):
        parse_url("postgresql://user@localhost:1/apdb").server(Patience(connect_seconds=2))


def test_standbys_that_no_commit_waits_for_are_told() -> None:
    with EmbeddedPostgresql() as primary, EmbeddedPostgresql(follows=primary) as standby:
        wait_until(lambda: told(primary.url).asynchronous_standbys == ("walreceiver",))
        assert "synchronous_standby_names" in {one.setting for one in harms(told(primary.url), Load())}
        assert told(standby.url).is_standby
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: told(primary.url).asynchronous_standbys == ())
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres SET synchronous_commit = local")
        assert told(primary.url).asynchronous_standbys == ("walreceiver",)
