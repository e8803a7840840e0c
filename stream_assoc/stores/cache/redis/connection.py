"""Connections to Redis: to one server, to the primary that sentinels tell, or to a cluster."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as NotConnectedError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from stream_assoc.stores.cache.exceptions import CacheConfigurationError
from stream_assoc.stores.cache.redis.errors import translated_errors
from stream_assoc.stores.cache.redis.sentinels import (
    EncryptedServiceConnection,
    Sentinels,
    ServiceConnection,
    address_of,
)

Client: TypeAlias = redis.Redis | RedisCluster

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_BACKOFF_SECONDS: Final = 0.05
_BACKOFF_CAP_SECONDS: Final = 0.5


def connect(  # noqa: PLR0913 - what of these is configured varies by caller
    *urls: str,
    options: Mapping[str, str] | None = None,
    cluster: bool = False,
    sentinel_service: str | None = None,
    sentinel_options: Mapping[str, str] | None = None,
    connect_timeout_seconds: float = 5.0,
    timeout_seconds: float = 10.0,
    retries: int = 2,
) -> Client:
    """Return a client of the server, the service or the cluster at some URLs.

    Parameters
    ----------
    *urls : `str`
        ``redis://``, ``rediss://`` (TLS) or ``unix://``, with the query options
        of `redis.Redis.from_url`. Several are nodes of a cluster or sentinels,
        and differ in host and port only.
    options : `~collections.abc.Mapping`, optional
        Options of `redis.Redis`, such as user, password and certificates.
    cluster : `bool`, optional
        Whether the URLs name nodes of a Redis Cluster.
    sentinel_service : `str`, optional
        Name of the service whose primary to connect to. The URLs name its
        sentinels then; user, password and database in them are the primary's.
    sentinel_options : `~collections.abc.Mapping`, optional
        User and password for the sentinels, as options of `redis.Redis`.
    connect_timeout_seconds, timeout_seconds : `float`, optional
        Timeouts for connecting, and for each read or write on the socket.
    retries : `int`, optional
        How often a call is retried after a lost connection, with a backoff of
        50 to 500 ms. Every command that is sent may be repeated. A server that
        is silent for its timeout is not asked again. The daemon adds its own,
        longer, backoff.

    Returns
    -------
    client : `redis.Redis` or `redis.cluster.RedisCluster`

    Raises
    ------
    CacheConfigurationError
        If a URL cannot be read.
    CacheUnavailableError
        If a cluster cannot be reached; a single server and sentinels are not contacted yet.
    """
    timeouts = {"socket_timeout": timeout_seconds, "socket_connect_timeout": connect_timeout_seconds}
    backoff = ExponentialWithJitterBackoff(base=_BACKOFF_SECONDS, cap=_BACKOFF_CAP_SECONDS)
    all_options: dict[str, Any] = {
        **(options or {}),
        **timeouts,
        "retry": Retry(backoff, retries, (NotConnectedError,)),
        "decode_responses": False,
    }
    try:
        if sentinel_service is not None:
            return _client_of_service(sentinel_service, urls, all_options, {**(sentinel_options or {}), **timeouts})
        if not cluster:
            (url,) = urls
            return redis.Redis.from_url(url, **all_options)
        first, *others = urls
        with translated_errors(", ".join(map(_place, urls))):
            nodes = [ClusterNode(*_address(url, _PORT)) for url in others]  # type: ignore[no-untyped-call]
            return RedisCluster.from_url(first, startup_nodes=nodes, **all_options)
    except ValueError:
        # The parser's own message may quote a piece of the password.
        raise CacheConfigurationError(
            "redis.url cannot be read: use redis://, rediss:// or unix://, and percent-encode the password"
        ) from None


def describe(client: Client) -> str:
    """Return where a client connects to, without credentials."""
    if isinstance(client, RedisCluster):
        return "cluster " + ", ".join(sorted(client.nodes_manager.startup_nodes))
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return f"{pool.service_name} (Sentinels {', '.join(map(address_of, pool.sentinel_manager.sentinels))})"
    options = pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', _PORT)}")


def database_of(client: Client) -> int:
    """Return the number of the database that a client uses; a cluster has only 0."""
    if isinstance(client, RedisCluster):
        return 0
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


def _client_of_service(
    service: str, urls: tuple[str, ...], options: Mapping[str, Any], sentinel_options: Mapping[str, Any]
) -> redis.Redis:
    """Return a client of the primary of a service."""
    of_url = parse_url(urls[0])  # type: ignore[no-untyped-call]
    is_encrypted = of_url.pop("connection_class", None) is SSLConnection
    for_server = {**options, **{name: value for name, value in of_url.items() if name not in {"host", "port"}}}
    files = {name: value for name, value in for_server.items() if name.startswith("ssl_")}
    for_sentinels = {**files, **sentinel_options, "ssl": is_encrypted, "retry": Retry(NoBackoff(), 0)}
    sentinels: Any = Sentinels(  # type: ignore[no-untyped-call]
        [_address(url, _SENTINEL_PORT) for url in urls], sentinel_kwargs=for_sentinels
    )
    kind = EncryptedServiceConnection if is_encrypted else ServiceConnection
    return cast("redis.Redis", sentinels.master_for(service, connection_class=kind, **for_server))


def _address(url: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or default_port


def _place(url: str) -> str:
    return ":".join(map(str, _address(url, _PORT)))
