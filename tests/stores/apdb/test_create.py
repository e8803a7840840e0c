import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest
from lsst.dax.apdb.sql import ApdbSql

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.stores.apdb.create import check, extend, init, repartition
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.rows.tables import OUR_TABLES
from stream_assoc.stores.apdb.sql.migrations import OUR_VERSION
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, TILES, changes, new_objects, store
from tests.stores.apdb.sql_urls import drop_triggers


def test_init_of_an_existing_apdb_changes_nothing(sqlite_apdb_url: str) -> None:
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG]))
    before = apdb.count_rows()
    report = init(sqlite_apdb_url)
    assert report == check(sqlite_apdb_url) == apdb.report
    assert apdb.count_rows() == before
    with apdb.exclusive(CELLS) as session:
        assert session.read_snapshot([], TILES).n_single_source == 1
    apdb.close()


def test_drop_begins_anew(sqlite_apdb_url: str) -> None:
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG]))
    apdb.close()
    assert not init(sqlite_apdb_url, drop=True, replication=False).replication
    apdb = open_apdb(sqlite_apdb_url)
    assert set(apdb.count_rows().values()) == {0}
    store(apdb, new_objects(FIRST, [BIG]))
    apdb.close()


def test_extending_counts_what_others_stored(sqlite_apdb_url: str) -> None:
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG, BIG + 2, BIG + 4]))
    apdb.close()
    drop_triggers(sqlite_apdb_url)
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection, connection:
        for table in OUR_TABLES:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM metadata WHERE name = 'version:stream_assoc'")
        connection.execute('UPDATE "DiaObjectLast" SET "nDiaSources" = 2 WHERE "diaObjectId" = ?', [BIG])
    with pytest.raises(ApdbSchemaError, match="stream-assoc apdb init"):
        check(sqlite_apdb_url)
    extend(sqlite_apdb_url)
    extend(sqlite_apdb_url)
    apdb = open_apdb(sqlite_apdb_url)
    with apdb.exclusive(CELLS) as session:
        assert session.read_snapshot([], TILES).n_single_source == 2
    store(apdb, changes(SECOND))
    apdb.close()


def test_other_index_modes_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    ApdbSql.init_database(db_url=url, dia_object_index="baseline")
    with pytest.raises(ApdbSchemaError, match="DiaObjectLast"):
        extend(url)
    with pytest.raises(ApdbSchemaError, match="last_object_table"):
        check(url)


@pytest.mark.parametrize(
    ("key", "version", "message"),
    [("version:schema", "9.0.0", "APDB schema"), ("version:stream_assoc", "1.9.0", "stream_assoc tables")],
)
def test_other_versions_are_refused(sqlite_apdb_url: str, key: str, version: str, message: str) -> None:
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE metadata SET value = ? WHERE name = ?", [version, key])
    with pytest.raises(ApdbSchemaError, match=f"{version} of the {message}"):
        check(sqlite_apdb_url)


def test_what_is_no_apdb_is_refused(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path / 'missing.db'}"
    with pytest.raises(ApdbSchemaError, match="does not exist; run"):
        check(missing)
    with pytest.raises(ApdbSchemaError, match="stream-assoc apdb init"):
        extend(missing)
    (tmp_path / "text.db").write_text("no database at all, only some text that is long enough to be read")
    with pytest.raises(ApdbSchemaError):
        check(f"sqlite:///{tmp_path / 'text.db'}")
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(ApdbSchemaError, match="holds no APDB"):
        check(f"sqlite:///{tmp_path / 'empty.db'}")


def test_copied_file_works(sqlite_apdb_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(sqlite_apdb_url.removeprefix("sqlite:///"), copy)
    apdb = open_apdb(f"sqlite:///{copy}")
    with apdb.exclusive(np.array([8])) as session:
        assert session.load_tiles(np.array([8 << 20])).tiles.tolist() == [8 << 20]
    apdb.close()


@pytest.mark.integration
def test_namespaces_are_apart(postgresql_database: str) -> None:
    for namespace in ("one", "Two"):
        init(postgresql_database, namespace)
    one, two = (open_apdb(postgresql_database, namespace) for namespace in ("one", "Two"))
    store(one, new_objects(FIRST, [BIG]))
    assert one.contains(FIRST)
    assert not two.contains(FIRST)
    with one.exclusive(CELLS), two.exclusive(CELLS) as session:
        assert session.read_snapshot([], TILES).n_single_source == 0
    with pytest.raises(ApdbSchemaError, match="namespace"):
        open_apdb(postgresql_database)
    one.close()
    two.close()
    init(postgresql_database, "one", drop=True)
    assert set(open_apdb(postgresql_database, "one").count_rows().values()) == {0}


OLD_LEDGER = """CREATE TABLE "StreamAssocLedger" (
    visit BIGINT NOT NULL, detector SMALLINT NOT NULL, digest {bytes} NOT NULL,
    "timeProcessedMjdTai" DOUBLE PRECISION NOT NULL, n_sources INTEGER NOT NULL, n_stored INTEGER NOT NULL,
    input_topic TEXT, input_partition INTEGER, input_offset BIGINT, PRIMARY KEY (visit, detector))"""
OLD_OUTBOX = """CREATE TABLE "StreamAssocOutbox" (
    sequence {sequence}, visit BIGINT NOT NULL, detector SMALLINT NOT NULL, outputs {bytes} NOT NULL,
    UNIQUE (visit, detector))"""
OLD_TILE = 'CREATE TABLE "StreamAssocTile" (tile BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)'
OLD_ROWS = (
    'INSERT INTO "StreamAssocLedger" (visit, detector, digest, "timeProcessedMjdTai", n_sources, n_stored, '
    "input_topic, input_partition, input_offset) "
    "VALUES (7, 1, {digest}, 60000.5, 3, 2, 'dia-sources', 4, 5), (6, 1, {digest}, 60000.25, 0, 0, NULL, NULL, NULL)",
    'INSERT INTO "StreamAssocOutbox" (visit, detector, outputs) VALUES (7, 1, {digest}), (6, 1, {digest})',
    "UPDATE metadata SET value = '1.0.0' WHERE name = 'version:stream_assoc'",
)


def make_old(execute, **words) -> None:
    """Give a database the ledger, the outbox and the tiles of version 1.0.0."""
    for table in (
        "StreamAssocLedger",
        "StreamAssocOutbox",
        "StreamAssocTile",
        "StreamAssocDiaObject",
        "StreamAssocInHand",
        "StreamAssocChanged",
        "StreamAssocReplication",
        "StreamAssocCheckpoint",
    ):
        execute(f'DROP TABLE "{table}"')
    for statement in (OLD_LEDGER, OLD_OUTBOX, OLD_TILE, *OLD_ROWS):
        execute(statement.format(**words))


def assert_brought_up_to_date(url) -> None:
    with pytest.raises(ApdbSchemaError, match=r"version 1.0.0 .* run `stream-assoc apdb init`"):
        check(url)
    assert init(url).stream_assoc_version == OUR_VERSION
    apdb = open_apdb(url)
    expected = [
        LedgerEntry(BatchId(7, 1), b"\x01\x02", 60000.5, 3, 2, InputPosition("dia-sources", 4, 5)),
        LedgerEntry(BatchId(6, 1), b"\x01\x02", 60000.25, 0, 0),
    ]
    assert [left.entry for left in apdb.unpublished()] == expected
    with apdb.exclusive(CELLS) as session:
        snapshot = session.read_snapshot([entry.id for entry in expected], TILES)
    assert snapshot.entries == {entry.id: (entry,) for entry in expected}
    store(apdb, changes(FIRST), changes(FIRST, revision=1))
    apdb.close()
    assert init(url).stream_assoc_version == OUR_VERSION


def test_tables_of_version_1_are_brought_up_to_date(sqlite_apdb_url: str) -> None:
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection, connection:
        words = {"bytes": "BLOB", "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT", "digest": "x'0102'"}
        make_old(connection.execute, **words)
    assert_brought_up_to_date(sqlite_apdb_url)


@pytest.mark.integration
def test_tables_of_version_1_are_brought_up_to_date_on_postgresql(postgresql_database: str) -> None:
    init(postgresql_database)
    with psycopg.connect(postgresql_database) as connection:
        sequence = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        make_old(connection.execute, bytes="BYTEA", sequence=sequence, digest="'\\x0102'")
    assert_brought_up_to_date(postgresql_database)


def test_a_database_keeps_its_identity_until_it_begins_anew(sqlite_apdb_url: str) -> None:
    first = init(sqlite_apdb_url).identity
    assert init(sqlite_apdb_url).identity == first
    assert init(sqlite_apdb_url, drop=True).identity != first


def test_daemons_of_another_partition_are_refused_until_the_sky_is_divided_anew(sqlite_apdb_url: str) -> None:
    first = init(sqlite_apdb_url)
    assert first.partition == "10/8"
    with pytest.raises(ApdbConfigurationError, match="--repartition"):
        open_apdb(sqlite_apdb_url, tile_level=9)
    second = repartition(sqlite_apdb_url, tile_level=9, cell_level=7)
    assert second.partition == "9/7"
    assert second.identity != first.identity
    open_apdb(sqlite_apdb_url, tile_level=9, cell_level=7).close()
