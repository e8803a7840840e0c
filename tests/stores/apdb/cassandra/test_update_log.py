"""Update records of other programs, which come in any order."""

import contextlib
import json
import time
import uuid

import pytest

from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.update_log import UpdateLog
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.rows.tables import UPDATES

pytestmark = pytest.mark.integration

CHUNK = 1_800_000_000


def record(connection: Connection, time_ns: int) -> None:
    """Write a record as dax_apdb does."""
    connection.write(
        'INSERT INTO "ApdbReplicaChunks" (partition, apdb_replica_chunk, last_update_time, unique_id) '
        "VALUES (0, ?, toTimestamp(now()), uuid())",
        CHUNK,
    )
    connection.write(
        f'INSERT INTO "{UPDATES}" (apdb_replica_chunk, apdb_replica_subchunk, update_time_ns, update_order, '
        "update_unique_id, update_payload) VALUES (?, 0, ?, 0, ?, ?)",
        *(CHUNK, time_ns, uuid.uuid4(), json.dumps({"update_type": "withdraw_diasource", "diaSourceId": time_ns})),
    )


@pytest.mark.rules("RecordsByName")
def test_a_record_that_comes_late_is_new(cassandra_apdb: CassandraUrl) -> None:
    with contextlib.closing(cassandra_apdb.connect(DEFAULT_PATIENCE)) as connection:
        log = UpdateLog(connection, 64, time.time)
        for time_ns in (5, 3):
            record(connection, time_ns)
            assert [one.name[0] for one in log.new_records()] == [time_ns]
        assert log.new_records() == []
