"""Connections are lent to one caller at a time, and never again after an error."""

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.pool import ConnectionPool


class Connection:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def pool() -> ConnectionPool[Connection]:
    return ConnectionPool(Connection)


def test_a_connection_is_lent_again_but_not_twice_at_a_time(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as first, pool.connection() as second:
        assert first is not second
    with pool.connection() as third:
        assert third in (first, second)


def test_a_connection_whose_use_failed_is_closed_and_the_idle_ones_stay(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as one, pool.connection() as other:
        pass
    with pytest.raises(ValueError, match="bad"), pool.connection() as failed:
        raise ValueError("bad")
    assert failed.is_closed
    (kept,) = {one, other} - {failed}
    with pool.connection() as next_lent:
        assert next_lent is kept
        assert not kept.is_closed


def test_nothing_idle_survives_a_database_that_went_away(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as one, pool.connection() as other:
        pass
    with pytest.raises(ApdbUnavailableError), pool.connection():
        raise ApdbUnavailableError("away")
    assert one.is_closed
    assert other.is_closed


def test_a_connect_that_fails_raises_its_own_error_at_once() -> None:
    def refuse() -> Connection:
        raise ApdbUnavailableError("no server")

    with pytest.raises(ApdbUnavailableError, match="no server"), ConnectionPool(refuse).connection():
        pass


def test_closing_closes_what_is_idle_and_a_lent_connection_goes_on(pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as lent:
        with pool.connection() as idle:
            pass
        pool.close()
        assert idle.is_closed
        assert not lent.is_closed
