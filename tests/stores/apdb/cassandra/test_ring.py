"""What a real node tells of its settings, and of the keyspace."""

from contextlib import closing

import pytest

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.tools.tuning.ring_harm import ring_harms

pytestmark = pytest.mark.integration


def test_each_node_tells_its_settings(cassandra_apdb: CassandraUrl) -> None:
    ring = cassandra_apdb.ring(DEFAULT_PATIENCE)
    (settings,) = ring.settings.values()
    assert settings["commitlog_sync"] == "group"
    assert settings["batch_size_fail_threshold"] == "16MiB"
    assert list(ring.replication_factors.values()) == [1]
    assert ring.lives_of_tables == {}
    assert set(ring.gc_graces.values()) == {864_000}
    assert "ApdbVisitDetector" not in ring.gc_graces
    assert ring.time_partitions_end is None
    # The keyspace of tests is not durable, so that it is emptied fast.
    assert [one.setting for one in ring_harms(ring, 61_000.0)] == [
        "durable_writes of the keyspace",
        "replication factor in datacenter1",
    ]


def test_a_table_whose_rows_vanish_is_told(cassandra_apdb: CassandraUrl) -> None:
    with closing(cassandra_apdb.connect(DEFAULT_PATIENCE)) as connection:
        connection.change_tables('ALTER TABLE "DiaSource" WITH default_time_to_live = 60')
        try:
            assert cassandra_apdb.ring(DEFAULT_PATIENCE).lives_of_tables == {"DiaSource": 60}
        finally:
            connection.change_tables('ALTER TABLE "DiaSource" WITH default_time_to_live = 0')


def test_a_keyspace_without_an_apdb_tells_nothing(cassandra_apdb: CassandraUrl, keyspace: str) -> None:
    with pytest.raises(ApdbSchemaError, match="apdb init"):
        CassandraUrl(cassandra_apdb.hosts, keyspace).ring(DEFAULT_PATIENCE)
