"""Standbys that are promoted with and without all commits of their primary, and those that lag."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbRolledBackError
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.testing.rows import FIRST, SECOND, changes, store
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.documentation.session import wait_until
from tests.standbys import await_replay, url_of

pytestmark = pytest.mark.integration


@pytest.fixture
def pair() -> Iterator[tuple[EmbeddedPostgresql, EmbeddedPostgresql]]:
    with EmbeddedPostgresql() as primary:
        init(primary.url)
        with EmbeddedPostgresql(follows=primary) as standby:
            yield primary, standby


def test_a_standby_that_lacks_the_last_commit_is_not_gone_on_with(
    pair: tuple[EmbeddedPostgresql, EmbeddedPostgresql],
) -> None:
    primary, standby = pair
    with contextlib.closing(PostgresqlApdb(url_of(*pair))) as apdb:
        store(apdb, changes(FIRST))
        await_replay(primary, standby)
        standby.stop()
        store(apdb, changes(SECOND))
        primary.stop(immediately=True)
        standby.start()
        with pytest.raises(ApdbUnavailableError):
            apdb.ping()
        standby.promote()
        # Not even a question that would find nothing wrong, and as often as it is asked.
        for _ in range(2):
            with pytest.raises(ApdbRolledBackError, match=r"this process has committed.*apdb init --repartition"):
                apdb.contains(FIRST)
    with contextlib.closing(PostgresqlApdb(url_of(*pair))) as another:
        assert [another.contains(batch) for batch in (FIRST, SECOND)] == [True, False]


def test_a_standby_that_has_the_last_commit_is_gone_on_with(
    pair: tuple[EmbeddedPostgresql, EmbeddedPostgresql],
) -> None:
    primary, standby = pair
    with contextlib.closing(PostgresqlApdb(url_of(*pair))) as apdb:
        store(apdb, changes(FIRST))
        await_replay(primary, standby)
        primary.stop(immediately=True)
        standby.promote()
        with pytest.raises(ApdbUnavailableError):
            apdb.ping()
        store(apdb, changes(SECOND))
        assert all(map(apdb.contains, (FIRST, SECOND)))


def test_a_standby_that_lags_is_waited_for(pair: tuple[EmbeddedPostgresql, EmbeddedPostgresql]) -> None:
    primary, standby = pair
    with (
        psycopg.connect(standby.url, autocommit=True) as connection,
        contextlib.closing(PostgresqlApdb(url_of(*pair, wanted="any"))) as apdb,
    ):
        connection.execute("SELECT pg_wal_replay_pause()")
        store(apdb, changes(FIRST))
        primary.stop(immediately=True)
        with pytest.raises(ApdbUnavailableError):
            apdb.ping()
        with pytest.raises(ApdbUnavailableError, match="a standby that lacks what was committed"):
            apdb.ping()
        connection.execute("SELECT pg_wal_replay_resume()")
        wait_until(lambda: is_there(apdb))


def is_there(apdb: PostgresqlApdb) -> bool:
    try:
        return apdb.contains(FIRST)
    except ApdbUnavailableError:
        return False
