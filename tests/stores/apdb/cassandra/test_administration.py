"""Creating an APDB in a keyspace, completing it, dividing the sky anew, and dropping it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from lsst.dax.apdb.cassandra import ApdbCassandra
from lsst.utils.db_auth import DbAuth

from stream_assoc.core.model.further_statistics import TABLE as FURTHER
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.backend import ApdbReport, ClusterChoices
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import (
    CONFIGURATION_KEY,
    METADATA,
    OUR_TABLES,
    read_columns,
    read_layout,
    read_notes,
    read_report,
    read_tables,
)
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.creation import CREDENTIALS, lent_credentials
from stream_assoc.stores.apdb.cassandra.groups import State
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from stream_assoc.stores.apdb.notes import CACHE_SECRET_KEY, NOTES, OUR_VERSION_KEY
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.rows.tables import TOLD_COLUMNS
from tests.cassandra.prepared import ONE_NODE
from tests.cassandra.ring import Ring
from tests.stores.apdb.cassandra.daemon import FAR, ITEMS, NEAR, Daemon, items

pytestmark = pytest.mark.integration


@pytest.fixture
def new(cassandra_node: Ring) -> Iterator[CassandraUrl]:
    """URL of a keyspace that is not there yet."""
    url = CassandraUrl(cassandra_node.addresses, f"new_{uuid4().hex}")
    yield url
    with closing(url.connect(DEFAULT_PATIENCE, "system")) as connection:
        connection.change_tables(f'DROP KEYSPACE IF EXISTS "{url.keyspace}"')


def init(
    url: CassandraUrl, *, drop: bool = False, replication: bool = True, cluster: ClusterChoices | None = ONE_NODE
) -> ApdbReport:
    url.administration().init(drop=drop, replication=replication, tile_level=10, cell_level=8, cluster=cluster)
    with connected(url) as connection:
        return read_report(connection)


def connected(url: CassandraUrl) -> closing[Connection]:
    return closing(url.connect(DEFAULT_PATIENCE))


def create_as_dax_does(url: CassandraUrl) -> None:
    ApdbCassandra.init_database(
        url.hosts, url.keyspace, time_partition_tables=False, replication_factor=1, enable_replica=False
    )


def test_an_apdb_is_made_once_and_dropped_with_all_that_is_ours(new: CassandraUrl) -> None:
    made = init(new)
    with connected(new) as connection:
        connection.change_tables(ITEMS)
        connection.write('INSERT INTO "DiaObjectLastToPartition" ("diaObjectId", apdb_part) VALUES (1, 2)')
    assert init(new, cluster=None) == made
    assert new.administration().plan(drop=False, statistics=()) == []
    assert new.administration().plan(drop=True, statistics=["oddity"])[0].startswith("drop all tables of the APDB")
    again = init(new, drop=True, replication=False, cluster=None)
    assert not again.replication
    assert again.identity != made.identity
    with connected(new) as connection:
        assert connection.read('SELECT * FROM "DiaObjectLastToPartition"') == []
        tables = read_tables(connection)
        assert "Item" in tables
        assert "DiaObjectChunks2" not in tables


def test_what_dax_apdb_has_made_is_extended(new: CassandraUrl) -> None:
    create_as_dax_does(new)
    administration = new.administration()
    steps = administration.plan(drop=False, statistics=["oddity"])
    assert steps[0] == f"create the tables of stream_assoc 1.1.0: {', '.join(OUR_TABLES)}"
    assert steps[1].startswith(f"add to {FURTHER}: ")
    assert steps[1].endswith(", oddity")
    assert not init(new).replication


def test_an_apdb_of_the_version_before_gets_the_columns_of_the_ledger(new: CassandraUrl) -> None:
    made = init(new)
    with connected(new) as connection:
        connection.change_tables(f'ALTER TABLE "StreamAssocLedger" DROP ({", ".join(TOLD_COLUMNS)})')
        connection.write(f"UPDATE {METADATA} SET value = '1.0.0' WHERE meta_part = 0 AND name = ?", OUR_VERSION_KEY)
        with pytest.raises(ApdbSchemaError, match=r"version 1\.0\.0 of the stream_assoc tables.*apdb init"):
            read_report(connection)
        (step,) = new.administration().plan(drop=False, statistics=())
        assert step == f"add to StreamAssocLedger: {', '.join(TOLD_COLUMNS)}"
        assert init(new) == made
        assert read_report(connection).stream_assoc_version == "1.1.0"


def test_a_dry_run_on_nothing_tells_all(new: CassandraUrl) -> None:
    steps = new.administration().plan(drop=True, statistics=())
    assert steps[0] == "create the tables of lsst.dax.apdb, APDB schema 10.0.0"
    with pytest.raises(ApdbSchemaError, match="no keyspace"):
        new.connect(DEFAULT_PATIENCE)


def test_what_was_interrupted_is_gone_on_with(new: CassandraUrl) -> None:
    """By dax_apdb before it had noted its configuration, by us before we had noted our version."""
    create_as_dax_does(new)
    with connected(new) as connection:
        connection.write(f"DELETE FROM {METADATA} WHERE meta_part = 0 AND name = ?", CONFIGURATION_KEY)
        connection.change_tables('DROP TABLE "DiaObjectDedup"')
        with pytest.raises(ApdbSchemaError, match="creation was interrupted"):
            new.administration().extend(tile_level=10, cell_level=8)
        made = init(new)
        connection.change_tables('DROP TABLE "StreamAssocPlan"')
        connection.change_tables(f'ALTER TABLE "{FURTHER}" DROP r_period')
        connection.write(f"DELETE FROM {METADATA} WHERE meta_part = 0 AND name = ?", OUR_VERSION_KEY)
        assert init(new) == made
        assert "DiaObjectDedup" in read_tables(connection)


def test_a_drop_that_was_interrupted_is_not_taken_for_a_new_apdb(new: CassandraUrl) -> None:
    init(new)
    with connected(new) as connection:
        connection.change_tables('DROP TABLE "StreamAssocLedger"')
        with pytest.raises(ApdbSchemaError, match="StreamAssocLedger is not there; restore it"):
            init(new)
        with pytest.raises(ApdbSchemaError, match="StreamAssocLedger is not there; restore it"):
            new.administration().plan(drop=False, statistics=())
        connection.change_tables('DROP TABLE "DiaObjectLast"')
    init(new, drop=True)


def test_of_two_that_make_it_at_once_one_names_it(new: CassandraUrl) -> None:
    create_as_dax_does(new)
    with connected(new) as connection:
        seen: list[dict[str, str]] = []

        def extend() -> None:
            new.administration().extend(tile_level=10, cell_level=8)
            seen.append({key: value for key, value in read_notes(connection).items() if key in NOTES})

        threads = [threading.Thread(target=extend) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen[0] == seen[1]
        assert set(seen[0]) == set(NOTES)


def test_each_time_partition_may_have_tables_of_its_own(new: CassandraUrl) -> None:
    times = ClusterChoices(1, True, "2026-01-01T00:00:00", "2026-01-20T00:00:00")
    init(new, cluster=times)
    with connected(new) as connection:
        partitions = read_layout(connection).time_partitions
        assert partitions == range(681, 683)
        new.administration().add_columns(["r_oddity"])
        assert {"DiaObject_681", "DiaSource_682"} <= set(read_tables(connection))
    new.administration().init(drop=True, replication=True, tile_level=10, cell_level=8, cluster=ONE_NODE)
    with connected(new) as connection:
        assert "DiaObject_681" not in read_tables(connection)
        assert read_layout(connection).time_partitions is None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (None, "kept by 3 nodes, and of the data center .* 1 can be reached; .* choose fewer .--replication-factor"),
        (ClusterChoices(2), "kept by 2 nodes"),
        (ClusterChoices(1, True, "tomorrow"), "dax_apdb cannot create the APDB"),
    ],
)
def test_choices_that_cannot_be_met_are_refused(
    new: CassandraUrl, choices: ClusterChoices | None, message: str
) -> None:
    with pytest.raises(ApdbConfigurationError, match=message):
        init(new, cluster=choices)


def test_a_keyspace_keeps_its_replication_factor(cassandra_apdb: CassandraUrl, keyspace: str) -> None:
    there = CassandraUrl(cassandra_apdb.hosts, keyspace)
    with pytest.raises(ApdbSchemaError, match=r"factor 1, not 3; leave out --replication-factor"):
        init(there, cluster=ClusterChoices(3))


@pytest.mark.parametrize(
    ("choices", "message"),
    [(ClusterChoices(3), "factor 1, not 3"), (ClusterChoices(1, True), "one table for all times")],
)
def test_other_choices_than_an_apdb_was_made_by_are_refused(
    cassandra_apdb: CassandraUrl, choices: ClusterChoices, message: str
) -> None:
    with pytest.raises(ApdbSchemaError, match=message):
        init(cassandra_apdb, cluster=choices)


def test_three_nodes_keep_each_row_where_nothing_else_is_said(cassandra_ring: Ring) -> None:
    url = CassandraUrl(cassandra_ring.addresses[:1], f"new_{uuid4().hex}")
    report = init(url, cluster=None)
    assert url.ring(DEFAULT_PATIENCE).replication_factors == {"datacenter1": 3}
    assert len(url.ring(DEFAULT_PATIENCE).settings) == 3
    cassandra_ring.kill(2)
    try:
        assert init(url, cluster=None) == report
    finally:
        cassandra_ring.start(2)


def test_columns_of_plugins_are_added_once(new: CassandraUrl) -> None:
    create_as_dax_does(new)
    administration = new.administration()
    with pytest.raises(ApdbSchemaError, match=f"no table {FURTHER}"):
        administration.add_columns(["r_oddity"])
    administration.extend(tile_level=10, cell_level=8)
    for _ in range(2):
        administration.add_columns(["r_oddity", "g_oddity"])
    with connected(new) as connection:
        assert {"r_oddity", "g_oddity"} <= read_columns(connection)[FURTHER]


def test_another_division_ends_the_sessions_of_the_one_before(new: CassandraUrl) -> None:
    """What was committed counts; what was not can never be, and no cell stays taken."""
    create_as_dax_does(new)
    new.administration().extend(tile_level=10, cell_level=8)
    daemon = Daemon(new.hosts, new.keyspace)
    with closing(daemon.connection) as connection:
        connection.change_tables(ITEMS)
        before, report = read_notes(connection), read_report(connection)
        slow, timestamp = daemon.take(NEAR)
        dead, later = daemon.take(FAR)
        daemon.commit(dead, later, [items([(1, "a", None)])], tiles=())
        new.administration().repartition(tile_level=11, cell_level=9)
        now = read_report(connection)
        assert now.partition == "11/9"
        assert now.identity != report.identity
        assert read_notes(connection)[CACHE_SECRET_KEY] != before[CACHE_SECRET_KEY]
        assert daemon.applier.unfinished() == {}
        with pytest.raises(FencedError):
            daemon.commit(slow, timestamp, [items([(1, "b", None)])], tiles=())
        assert daemon.item(1) == ("a", None)
        assert daemon.groups.read(dead).state is State.APPLIED
        assert {lease.holder for lease in daemon.leases.read([NEAR, FAR]).values()} == {None}


def test_what_was_not_prepared_is_not_divided(new: CassandraUrl) -> None:
    create_as_dax_does(new)
    with pytest.raises(ApdbSchemaError, match="lacks what stream_assoc adds to it"):
        new.administration().repartition(tile_level=11, cell_level=9)


def test_what_is_noted_for_replicas_is_withdrawn_whenever_it_was_written(cassandra_apdb: CassandraUrl) -> None:
    ahead = time.time_ns() // 1000 + 3_600_000_000
    with connected(cassandra_apdb) as connection:
        write = connection.write
        write('INSERT INTO "ApdbReplicaChunks" (partition, apdb_replica_chunk) VALUES (0, 5)')
        source = 'INSERT INTO "DiaSourceChunks2" (apdb_replica_chunk, apdb_replica_subchunk, "diaSourceId", ra)'
        for subchunk, identifier in ((0, 1), (63, 2), (63, 3)):
            write(f"{source} VALUES (5, ?, ?, 1.0) USING TIMESTAMP ?", subchunk, identifier, ahead)
        record = 'INSERT INTO "ApdbUpdateRecordChunks" (apdb_replica_chunk, apdb_replica_subchunk, update_time_ns, '
        names = [uuid4(), uuid4()]
        for name in names:
            values = "update_order, update_unique_id, update_payload) VALUES (5, 7, 8, 0, ?, '')"
            write(record + values, name)
        for _ in range(2):
            cassandra_apdb.administration().withdraw_notes({"DiaSource": [(1,), (3,)]}, [(5, 8, 0, names[0])])
        assert connection.read('SELECT "diaSourceId" FROM "DiaSourceChunks2"') == [(2,)]
        assert connection.read('SELECT update_unique_id FROM "ApdbUpdateRecordChunks"') == [(names[1],)]


def test_dax_apdb_is_lent_the_password_and_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CREDENTIALS, raising=False)
    url = CassandraUrl(("node", "::1"), "night", user="u s", password="p@")
    with lent_credentials(url):
        assert DbAuth().getAuth("cassandra", "u s", "node", 9042, "night") == ("u s", "p@")
        assert DbAuth().getAuth("cassandra", "", "::1", 9042, "night") == ("u s", "p@")
    assert CREDENTIALS not in os.environ
    monkeypatch.setenv(CREDENTIALS, "[]")
    with lent_credentials(url):
        pass
    assert os.environ[CREDENTIALS] == "[]"
