"""The triggers that note what other programs write are there, or a daemon does not start."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from stream_assoc.stores.apdb.create import check, init, plan
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.testing.rows import BIG, FIRST, TILES, new_objects, store
from tests.stores.apdb.sql_urls import drop_triggers

SQLITE_BREAKS = (
    'DROP TRIGGER "stream_assoc_DiaSource_update"',
    'DROP TRIGGER "stream_assoc_DiaObjectLast_delete"; CREATE TRIGGER "stream_assoc_DiaObjectLast_delete" '
    'AFTER DELETE ON "DiaObjectLast" BEGIN SELECT 1; END',
)
WHEN = "WHEN (current_setting('stream_assoc.batch', true) IS DISTINCT FROM 'on')"
POSTGRESQL_BREAKS = (
    'DROP TRIGGER stream_assoc_rows ON "DiaSource"',
    'ALTER TABLE "DiaObject" DISABLE TRIGGER ALL',
    'ALTER TABLE "DiaForcedSource" DISABLE TRIGGER stream_assoc_truncate',
    "CREATE OR REPLACE FUNCTION stream_assoc_raise(pixel bigint) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
    "DROP FUNCTION stream_assoc_source_changed() CASCADE",
    # Of another form, with the right function.
    'DROP TRIGGER stream_assoc_rows ON "DiaSource"; CREATE TRIGGER stream_assoc_rows AFTER INSERT OR UPDATE OR '
    'DELETE ON "DiaSource" FOR EACH ROW WHEN (false) EXECUTE FUNCTION stream_assoc_source_changed()',
    'DROP TRIGGER stream_assoc_rows ON "DiaSource"; CREATE TRIGGER stream_assoc_rows AFTER INSERT OR UPDATE OR '
    'DELETE ON "DiaSource" FOR EACH ROW EXECUTE FUNCTION stream_assoc_source_changed()',
    'DROP TRIGGER stream_assoc_rows ON "DiaObject"; CREATE TRIGGER stream_assoc_rows AFTER INSERT OR UPDATE ON '
    f'"DiaObject" FOR EACH ROW {WHEN} EXECUTE FUNCTION stream_assoc_version_changed()',
    'DROP TRIGGER stream_assoc_rows ON "DiaObject"; CREATE TRIGGER stream_assoc_rows AFTER INSERT OR UPDATE OF ra OR '
    f'DELETE ON "DiaObject" FOR EACH ROW {WHEN} EXECUTE FUNCTION stream_assoc_version_changed()',
    'DROP TRIGGER stream_assoc_rows ON "DiaObjectLast"; CREATE CONSTRAINT TRIGGER stream_assoc_rows AFTER INSERT OR '
    'UPDATE OR DELETE ON "DiaObjectLast" DEFERRABLE INITIALLY DEFERRED '
    f"FOR EACH ROW {WHEN} EXECUTE FUNCTION stream_assoc_current_changed()",
    'DROP TRIGGER stream_assoc_rows ON "ApdbReplicaChunks"; CREATE TRIGGER stream_assoc_rows BEFORE INSERT '
    f'ON "ApdbReplicaChunks" FOR EACH ROW {WHEN} EXECUTE FUNCTION stream_assoc_chunk_begun()',
    'DROP TRIGGER stream_assoc_rows ON "DiaSource"; CREATE TRIGGER stream_assoc_rows AFTER UPDATE ON "DiaSource" '
    "FOR EACH ROW WHEN (OLD.ra <> NEW.ra) EXECUTE FUNCTION stream_assoc_source_changed()",
    'ALTER TABLE "DiaSource" ENABLE REPLICA TRIGGER stream_assoc_rows',
    "ALTER FUNCTION stream_assoc_source_changed() SECURITY INVOKER",
    "ALTER FUNCTION stream_assoc_source_changed() RESET search_path",
)


def assert_refused_until_made_anew(url: str) -> None:
    for refused in (open_apdb, check):
        with pytest.raises(ApdbSchemaError, match=r"triggers of the APDB .*stream_assoc_.*`stream-assoc apdb init`"):
            refused(url)
    assert plan(url) == ["make the triggers anew that note what other programs change"]
    init(url)
    check(url)
    assert plan(url) == []


@pytest.mark.parametrize("statement", SQLITE_BREAKS)
def test_a_trigger_that_is_not_as_it_should_be_keeps_a_daemon_from_starting(
    sqlite_apdb_url: str, statement: str
) -> None:
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(statement)
    assert_refused_until_made_anew(sqlite_apdb_url)


@pytest.mark.integration
@pytest.mark.parametrize("statement", POSTGRESQL_BREAKS)
def test_the_same_on_postgresql(postgresql_apdb_url: str, statement: str) -> None:
    with psycopg.connect(postgresql_apdb_url) as connection:
        connection.execute(statement.encode())
    assert_refused_until_made_anew(postgresql_apdb_url)


@pytest.mark.integration
def test_a_daemon_starts_while_another_program_holds_the_tables(postgresql_apdb_url: str) -> None:
    with psycopg.connect(postgresql_apdb_url) as connection:
        connection.execute('LOCK TABLE "DiaSource", "DiaObject", "DiaObjectLast", "DiaForcedSource"')
        open_apdb(postgresql_apdb_url, patience=Patience(lock_seconds=0.1)).close()


def test_without_any_the_message_stays_short(sqlite_apdb_url: str) -> None:
    drop_triggers(sqlite_apdb_url)
    with pytest.raises(ApdbSchemaError, match=r"^\d+ triggers of the APDB .*, \.\.\.\)") as refused:
        check(sqlite_apdb_url)
    assert len(str(refused.value)) < 350


@pytest.mark.integration
def test_a_role_without_rights_on_our_tables_can_write(postgresql_apdb_url: str) -> None:
    with closing(open_apdb(postgresql_apdb_url)) as apdb:
        store(apdb, new_objects(FIRST, [BIG]))
    with psycopg.connect(postgresql_apdb_url) as connection:
        connection.execute("CREATE ROLE administrator")
        connection.execute('GRANT SELECT, UPDATE ON "DiaSource" TO administrator')
        connection.execute("SET ROLE administrator")
        assert connection.execute('UPDATE "DiaSource" SET ra = ra').rowcount == 1
        connection.execute("RESET ROLE")
        noted = connection.execute('SELECT "diaObjectId", is_outdated FROM "StreamAssocChanged"').fetchall()
        # The role belongs to the whole server, which other tests use.
        connection.rollback()
    assert noted == [(BIG, True)]


@pytest.mark.integration
def test_an_operator_that_somebody_makes_beside_the_tables_is_not_run_with_the_rights_of_their_owner(
    postgresql_apdb_url: str,
) -> None:
    with closing(open_apdb(postgresql_apdb_url)) as apdb:
        store(apdb, new_objects(FIRST, [BIG]))
    with psycopg.connect(postgresql_apdb_url) as connection:
        connection.execute("CREATE FUNCTION mine(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'")
        connection.execute("CREATE OPERATOR >> (FUNCTION = mine, LEFTARG = bigint, RIGHTARG = integer)")
        connection.execute('UPDATE "DiaSource" SET ra = ra')
        (noted,) = connection.execute('SELECT tile FROM "StreamAssocChanged"').fetchall()
    assert noted == (int(TILES[0]),)
