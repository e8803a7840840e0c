import itertools
from collections.abc import Iterator

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql import apdb as postgresql_apdb
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.testing.rows import BIG, CELLS, FIRST, new_objects, store

pytestmark = pytest.mark.integration

SESSIONS_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND state LIKE 'idle in transaction%'"
)


def test_a_transaction_that_is_left_alone_is_ended_by_the_server(
    postgresql_apdb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql_apdb._SESSION_SETTINGS, "idle_in_transaction_session_timeout", "100ms")
    calls = itertools.count()

    def monotonic() -> float:
        if next(calls) == 1:
            # When the chunk is chosen, in the midst of the transaction.
            with psycopg.connect(postgresql_apdb_url, autocommit=True) as other:
                while other.execute(SESSIONS_IN_TRANSACTION).fetchall() != [(0,)]:
                    pass
        return 0.0

    apdb = open_apdb(postgresql_apdb_url, replication=Replication(monotonic=monotonic))
    with pytest.raises(FencedError, match="idle-in-transaction timeout"), apdb.exclusive(CELLS) as session:
        session.commit([new_objects(FIRST, [BIG])])
    assert not apdb.contains(FIRST)
    apdb.close()


def test_a_transaction_that_is_not_ready_in_time_is_not_committed(postgresql_apdb_url: str) -> None:
    seconds: Iterator[float] = iter([0.0, 10.0, 40.1])
    apdb = open_apdb(postgresql_apdb_url, replication=Replication(monotonic=lambda: next(seconds)))
    with pytest.raises(FencedError, match="replica chunk"):
        store(apdb, new_objects(FIRST, [BIG]))
    assert not apdb.contains(FIRST)
    apdb.close()
