"""Sentinels and their service over TLS, by the names that certificates were made for."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheError
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.process import ServerProcess
from stream_assoc.tools.embedded.valkey import START_TIMEOUT_SECONDS, EmbeddedValkey, program
from tests.security.certificates import Authority
from tests.security.servers import HOST, tls_front
from tests.stores.cache.builders import LAYOUT
from tests.stores.cache.redis.test_cache import LEVELS

pytestmark = pytest.mark.integration

SERVICE = "night"


@dataclass(frozen=True, slots=True)
class Watched:
    """A server and its Sentinel, both behind TLS, and what a client needs for them."""

    authority: Authority
    port: int
    sentinel_port: int
    options: dict[str, str]

    def cache(self, **changes: str) -> RedisCache:
        url = f"rediss://{HOST}:{self.sentinel_port}/0"
        client = connect(url, sentinel_service=SERVICE, options=self.options | changes)
        return RedisCache(client, LAYOUT, **LEVELS)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("sentinel")
    authority = Authority.in_folder(folder / "authority")
    server, client = authority.issue("server"), authority.issue("client")
    options = {
        "ssl_ca_certs": str(authority.file),
        "ssl_certfile": str(client.certificate),
        "ssl_keyfile": str(client.key),
    }
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey(max_memory="50mb"))
        socket = valkey.url.removeprefix("unix://")
        port = stack.enter_context(tls_front(server, authority, socket, takes_plain_text=True))
        stack.enter_context(_sentinel(folder, port))
        sentinel_port = stack.enter_context(tls_front(server, authority, str(folder / "socket")))
        yield Watched(authority, port, sentinel_port, options)


@contextlib.contextmanager
def _sentinel(folder: Path, port: int) -> Iterator[None]:
    """Run a Sentinel on a Unix socket that tells where the server speaks TLS, by its name."""
    configuration = folder / "sentinel.conf"
    lines = (
        "port 0",
        f"unixsocket {folder / 'socket'}",
        f"dir {folder}",
        "sentinel resolve-hostnames yes",
        "sentinel announce-hostnames yes",
        f"sentinel monitor {SERVICE} {HOST} {port} 1",
    )
    configuration.write_text("\n".join(lines) + "\n")
    process = ServerProcess([program(), str(configuration), "--sentinel"], folder / "log")
    with redis.Redis(unix_socket_path=str(folder / "socket")) as client:

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.exceptions.ConnectionError:
                return False

        process.start(answers, START_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        process.stop(stop_signal=signal.SIGKILL)


def test_sentinels_and_service_are_reached_over_tls(watched: Watched) -> None:
    with watched.cache() as cache:
        assert cache.check() == []


def test_a_sentinel_with_a_certificate_of_a_stranger_is_not_believed(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority.in_folder(tmp_path_factory.mktemp("stranger") / "authority")
    words = f"certificate of Redis at {HOST}:{watched.sentinel_port} is not trusted.*redis.ssl_ca_file"
    with (
        watched.cache(ssl_ca_certs=str(stranger.file)) as cache,
        pytest.raises(CacheConfigurationError, match=words),
    ):
        cache.ping()


def test_a_sentinel_that_is_spoken_to_in_plain_text_names_the_setting(watched: Watched) -> None:
    client = connect(f"redis://{HOST}:{watched.sentinel_port}/0", sentinel_service=SERVICE)
    with (
        RedisCache(client, LAYOUT, **LEVELS) as cache,
        pytest.raises(CacheError, match=r"does it speak TLS where redis\.url says so"),
    ):
        cache.ping()
