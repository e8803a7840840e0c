import threading

import numpy as np
import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError, FencedError, RowsRefusedError
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, changes, new_objects, pixel, source, store
from stream_assoc.testing.sql import SqlConformance

pytestmark = pytest.mark.integration


class TestPostgresql(SqlConformance):
    @pytest.fixture
    def url(self, postgresql_apdb_url: str) -> str:
        return postgresql_apdb_url

    @pytest.fixture
    def place(self, url: str) -> ApdbUrl:
        return parse_url(url)

    def test_other_cells_are_free(self, apdb: OpenApdb) -> None:
        inside = threading.Event()
        elsewhere = np.array([pixel(200, 40, 8)])
        with apdb.exclusive(CELLS):
            other = threading.Thread(target=self.enter, args=(apdb, elsewhere, inside))
            other.start()
            assert inside.wait(20)
            other.join()

    def test_crossing_sets_of_cells_do_not_deadlock(self, apdb: OpenApdb) -> None:
        low, high = np.array([5, 9]), np.array([9, 5])
        done = [threading.Event(), threading.Event()]
        threads = [
            threading.Thread(target=self._enter_often, args=(apdb, cells, event))
            for cells, event in zip((low, high), done, strict=True)
        ]
        for thread in threads:
            thread.start()
        assert all(event.wait(30) for event in done)
        for thread in threads:
            thread.join()

    def _enter_often(self, apdb: OpenApdb, cells: np.ndarray, done: threading.Event) -> None:
        for _ in range(20):
            self.enter(apdb, cells, threading.Event())
        done.set()

    def test_the_server_does_not_compress_what_is_compressed(self, url: str) -> None:
        open_apdb(url).close()
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT attname, attstorage FROM pg_attribute WHERE attname IN ('outputs', 'state') AND attrelid = "
                """ANY (ARRAY['"StreamAssocOutbox"'::regclass, '"StreamAssocCheckpoint"'::regclass])"""
            ).fetchall()
        assert sorted(rows) == [("outputs", "e"), ("state", "e")]

    def test_lost_connection_loses_lock_and_transaction(self, apdb: OpenApdb, url: str) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        with pytest.raises(FencedError, match="locks on the sky"):
            self._die_before_storing(apdb, url)
        inside = threading.Event()
        self.enter(apdb, CELLS, inside)
        assert inside.is_set()
        assert apdb.contains(FIRST)
        assert not apdb.contains(SECOND)

    def _die_before_storing(self, apdb: OpenApdb, url: str) -> None:
        with apdb.exclusive(CELLS) as session:
            terminate(url)
            session.commit([changes(SECOND)])

    def test_idle_connections_that_died_are_replaced(self, apdb: OpenApdb, url: str) -> None:
        with apdb.exclusive(CELLS):
            apdb.contains(FIRST)
        terminate(url)
        with pytest.raises(ApdbUnavailableError):
            apdb.contains(FIRST)
        assert not apdb.contains(FIRST)
        assert apdb.unpublished() == []

    def test_text_that_is_too_long_is_refused(self, apdb: OpenApdb) -> None:
        with pytest.raises(RowsRefusedError, match="too long"):
            store(apdb, changes(FIRST, [source(BIG, reliabilityVersion="longer than seven")]))
        assert not apdb.contains(FIRST)

    def test_password_is_in_no_message(self) -> None:
        with pytest.raises(ApdbUnavailableError) as caught:
            open_apdb("postgresql://someone:hunter2@127.0.0.1:1/nowhere")
        assert "hunter2" not in str(caught.value)


def terminate(url: str) -> None:
    """Kill the server's side of every other connection to the database, and wait until they are gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'stream_assoc%'"
        )
