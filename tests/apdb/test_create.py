import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from lsst.dax.apdb.sql import ApdbSql

from stream_assoc.apdb.create import check, extend, init, repartition
from stream_assoc.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.apdb.factory import open_apdb
from tests.apdb.builders import BIG, changes
from tests.apdb.conformance import CELLS, FIRST, SECOND, TILES, new_objects, store


def test_init_of_an_existing_apdb_changes_nothing(sqlite_apdb_url):
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG]))
    before = apdb.count_rows()
    report = init(sqlite_apdb_url)
    assert report == check(sqlite_apdb_url) == apdb.report
    assert apdb.count_rows() == before
    with apdb.exclusive(CELLS) as session:
        assert session.open_batches([], TILES).n_single_source == 1
    apdb.close()


def test_drop_begins_anew(sqlite_apdb_url):
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG]))
    apdb.close()
    assert not init(sqlite_apdb_url, drop=True, replication=False).replication
    apdb = open_apdb(sqlite_apdb_url)
    assert set(apdb.count_rows().values()) == {0}
    store(apdb, new_objects(FIRST, [BIG]))
    apdb.close()


def test_extending_counts_what_others_stored(sqlite_apdb_url):
    apdb = open_apdb(sqlite_apdb_url)
    store(apdb, new_objects(FIRST, [BIG, BIG + 2, BIG + 4]))
    apdb.close()
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection, connection:
        for table in ("StreamAssocLedger", "StreamAssocOutbox", "StreamAssocTile", "StreamAssocCounter"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM metadata WHERE name = 'version:stream_assoc'")
        connection.execute('UPDATE "DiaObjectLast" SET "nDiaSources" = 2 WHERE "diaObjectId" = ?', [BIG])
    with pytest.raises(ApdbSchemaError, match="stream-assoc apdb init"):
        check(sqlite_apdb_url)
    extend(sqlite_apdb_url)
    extend(sqlite_apdb_url)
    apdb = open_apdb(sqlite_apdb_url)
    with apdb.exclusive(CELLS) as session:
        assert session.open_batches([], TILES).n_single_source == 2
    store(apdb, changes(SECOND))
    apdb.close()


def test_other_index_modes_are_refused(tmp_path):
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
def test_other_versions_are_refused(sqlite_apdb_url, key, version, message):
    with closing(sqlite3.connect(sqlite_apdb_url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE metadata SET value = ? WHERE name = ?", [version, key])
    with pytest.raises(ApdbSchemaError, match=f"{version} of the {message}"):
        check(sqlite_apdb_url)


def test_what_is_no_apdb_is_refused(tmp_path):
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


def test_copied_file_works(sqlite_apdb_url, tmp_path):
    copy = tmp_path / "copy.db"
    shutil.copy(sqlite_apdb_url.removeprefix("sqlite:///"), copy)
    apdb = open_apdb(f"sqlite:///{copy}")
    with apdb.exclusive(np.array([8])) as session:
        assert set(session.load_tiles(np.array([8 << 20]))) == {8 << 20}
    apdb.close()


@pytest.mark.integration
def test_namespaces_are_apart(postgresql_database):
    for namespace in ("one", "Two"):
        init(postgresql_database, namespace)
    one, two = (open_apdb(postgresql_database, namespace) for namespace in ("one", "Two"))
    store(one, new_objects(FIRST, [BIG]))
    assert one.contains(FIRST)
    assert not two.contains(FIRST)
    with one.exclusive(CELLS), two.exclusive(CELLS) as session:
        assert session.open_batches([], TILES).n_single_source == 0
    with pytest.raises(ApdbSchemaError, match="namespace"):
        open_apdb(postgresql_database)
    one.close()
    two.close()
    init(postgresql_database, "one", drop=True)
    assert set(open_apdb(postgresql_database, "one").count_rows().values()) == {0}


def test_a_database_keeps_its_identity_until_it_begins_anew(sqlite_apdb_url):
    first = init(sqlite_apdb_url).identity
    assert init(sqlite_apdb_url).identity == first
    assert init(sqlite_apdb_url, drop=True).identity != first


def test_daemons_of_another_partition_are_refused_until_the_sky_is_divided_anew(sqlite_apdb_url):
    first = init(sqlite_apdb_url)
    assert first.partition == "10/8"
    with pytest.raises(ApdbConfigurationError, match="--repartition"):
        open_apdb(sqlite_apdb_url, tile_level=9)
    second = repartition(sqlite_apdb_url, tile_level=9, cell_level=7)
    assert second.partition == "9/7"
    assert second.identity != first.identity
    open_apdb(sqlite_apdb_url, tile_level=9, cell_level=7).close()
