"""What a keyspace tells of itself, and what keeps us from using it."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from lsst.dax.apdb import Apdb

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import (
    CONFIGURATION_KEY,
    DAX_VERSION_KEY,
    METADATA,
    OUR_VERSION,
    REPLICA_VERSION_KEY,
    TIME_PARTITIONS_KEY,
    Layout,
    check_room,
    layout_of,
    no_apdb,
    read_layout,
    read_notes,
    read_report,
    read_tables,
)
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import IDENTITY_KEY, OUR_VERSION_KEY, SCHEMA_VERSION_KEY
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from tests.cassandra.prepared import PreparedApdb, select

pytestmark = pytest.mark.integration

FROZEN = {
    "enable_replica": True,
    "ra_dec_columns": ["ra", "dec"],
    "replica_skips_diaobjects": False,
    "replica_sub_chunk_count": 64,
    "part_pixelization": "mq3c",
    "part_pix_level": 11,
    "time_partition_tables": False,
    "time_partition_days": 30,
    "num_part_dedup": 64,
}
LAYOUT = Layout("mq3c", 11, 30, None, 64, 64, replication=True, replica_skips_dia_objects=False)


def notes(**changed: object) -> dict[str, str]:
    return {
        SCHEMA_VERSION_KEY: "10.0.0",
        DAX_VERSION_KEY: "1.3.0",
        REPLICA_VERSION_KEY: "1.1.1",
        CONFIGURATION_KEY: json.dumps(FROZEN | changed),
    }


@pytest.fixture
def connection(cassandra_apdb: CassandraUrl) -> Iterator[Connection]:
    with closing(cassandra_apdb.connect(DEFAULT_PATIENCE)) as connection:
        yield connection


def test_a_prepared_apdb_tells_what_it_is(connection: Connection) -> None:
    report, noted = read_report(connection), read_notes(connection)
    assert report.schema_version == "10.0.0"
    assert report.stream_assoc_version == OUR_VERSION
    assert report.replication
    assert report.partition == "10/8"
    assert report.identity == f"{noted[IDENTITY_KEY]}.{read_tables(connection)[METADATA].table_id.hex}"
    assert report.cache_secret not in repr(report)
    assert read_layout(connection) == LAYOUT
    check_room(connection, LAYOUT, ())


def test_each_test_finds_another_apdb(prepared_apdb: PreparedApdb, connection: Connection) -> None:
    before = read_report(connection)
    connection.write('INSERT INTO "DiaObjectLastToPartition" ("diaObjectId", apdb_part) VALUES (1, 2)')
    prepared_apdb.empty()
    after = read_report(connection)
    assert connection.read('SELECT * FROM "DiaObjectLastToPartition"') == []
    assert after.identity != before.identity
    assert after.cache_secret != before.cache_secret


def test_the_client_of_dax_apdb_opens_the_same_one(cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    client = Apdb.from_config(cassandra_apdb.dax_config())
    assert client.metadata.get(IDENTITY_KEY) == read_notes(connection)[IDENTITY_KEY]
    connection.write('INSERT INTO "DiaObjectLast" (apdb_part, "diaObjectId", ra, dec) VALUES (1, 2, 10.0, -5.0)')
    connection.write('INSERT INTO "DiaObjectLast" (apdb_part, "diaObjectId", ra, dec) VALUES (0, 3, 10.0, -5.0)')
    (first, pixel), second = select(client, "DiaObjectLast", "diaObjectId", "pixelId")
    assert (first, second) == (2, (3, pixel))


def test_time_partitions_are_read() -> None:
    noted = notes(time_partition_tables=True) | {TIME_PARTITIONS_KEY: '{"start": 600, "end": 602}'}
    assert layout_of(noted).time_partitions == range(600, 603)


@pytest.mark.parametrize(
    ("replication", "skips", "has"), [(True, True, False), (False, True, True), (True, False, True)]
)
def test_replica_chunks_may_stand_for_dia_object(replication: bool, skips: bool, has: bool) -> None:
    layout = layout_of(notes(enable_replica=replication, replica_skips_diaobjects=skips))
    assert layout.has_dia_objects is has


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({SCHEMA_VERSION_KEY: "11.0.0"}, "version 11.0.0 of the APDB schema"),
        ({DAX_VERSION_KEY: "1.2.0"}, "version 1.2.0 for Cassandra"),
        ({DAX_VERSION_KEY: "2.3.0"}, "version 2.3.0 for Cassandra"),
        ({REPLICA_VERSION_KEY: "1.1.0"}, "replica tables .* version 1.1.0"),
        ({REPLICA_VERSION_KEY: "2.1.1"}, "replica tables .* version 2.1.1"),
        ({CONFIGURATION_KEY: "{"}, "damaged"),
        ({CONFIGURATION_KEY: "{}"}, "whose creation was interrupted"),
        ({CONFIGURATION_KEY: '{"enable_replica": false}'}, "cannot be read: KeyError"),
        (notes(ra_dec_columns=["x", "y"]), "ra_dec_columns"),
        (notes(part_pix_level="high"), "cannot be read: ValueError"),
        (notes(time_partition_tables=True), "whose creation was interrupted"),
        (notes(time_partition_tables=True) | {TIME_PARTITIONS_KEY: '{"start": 1}'}, "cannot be read: KeyError"),
    ],
)
def test_what_cannot_be_written_is_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(ApdbSchemaError, match=message):
        layout_of(notes() | changed)


def test_a_prefix_is_refused_by_its_name() -> None:
    with pytest.raises(ApdbSchemaError, match="have the prefix 'old_'"):
        raise no_apdb("sky", ["old_metadata", "old_DiaObject"])
    with pytest.raises(ApdbSchemaError, match=r"keyspace sky .* holds no APDB"):
        raise no_apdb("sky", ["Item"])


def test_what_of_ours_is_missing_is_named(cassandra_apdb: CassandraUrl, connection: Connection) -> None:
    connection.write(f"DELETE FROM {METADATA} WHERE meta_part = 0 AND name = ?", OUR_VERSION_KEY)
    with pytest.raises(ApdbSchemaError, match=f"lacks what stream_assoc adds to it .{OUR_VERSION_KEY}.*apdb init"):
        read_report(connection)


@pytest.mark.parametrize(("version", "message"), [("0.9.0", "stop every daemon"), ("1.99.0", "a later stream_assoc")])
def test_another_version_of_ours_is_refused(version: str, message: str, connection: Connection) -> None:
    connection.write(f"UPDATE {METADATA} SET value = ? WHERE meta_part = 0 AND name = ?", version, OUR_VERSION_KEY)
    with pytest.raises(ApdbSchemaError, match=message):
        read_report(connection)


def test_a_statistic_without_a_column_is_named(connection: Connection) -> None:
    with pytest.raises(ApdbSchemaError, match="StreamAssocDiaObject lacks r_oddity"):
        check_room(connection, LAYOUT, ["r_oddity"])


def test_a_keyspace_without_an_apdb_is_told(cassandra_apdb: CassandraUrl, keyspace: str) -> None:
    other = CassandraUrl(cassandra_apdb.hosts, keyspace)
    with closing(other.connect(DEFAULT_PATIENCE)) as connection:
        with pytest.raises(ApdbSchemaError, match=f"keyspace {keyspace} .* holds no APDB"):
            read_report(connection)
        with pytest.raises(ApdbSchemaError, match="lacks a table or column"):
            read_notes(connection)


def test_a_missing_keyspace_is_told(cassandra_apdb: CassandraUrl) -> None:
    with pytest.raises(ApdbSchemaError, match="no keyspace absent; run `stream-assoc apdb init`"):
        CassandraUrl(cassandra_apdb.hosts, "absent").connect(DEFAULT_PATIENCE)
