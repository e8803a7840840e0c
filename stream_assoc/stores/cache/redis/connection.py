"""Connections to Redis, and the translation of its errors."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ClusterError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from stream_assoc.exceptions import reason_of
from stream_assoc.stores.cache.exceptions import (
    CacheConfigurationError,
    CacheError,
    CacheUnavailableError,
    CacheWritesRefusedError,
)

Client: TypeAlias = redis.Redis | RedisCluster

_PASSING: Final = (AskError, BusyLoadingError, ClusterDownError, ClusterError, TryAgainError)
_BUSY: Final = "BUSY "
_NO_CLUSTER: Final = "Cluster mode is not enabled"
_REFUSED_WRITES: Final = {
    "OOM": "is full: raise its maxmemory, or set its maxmemory-policy to allkeys-lru (an evicted key is rebuilt from "
    "the APDB)",
    "MISCONF": "accepts no writes because it cannot write its snapshot or append-only file: free space on its disk, "
    "or disable both: a cache needs neither",
    "NOREPLICAS": "accepts no writes because too few replicas are connected: see its min-replicas-to-write",
    "READONLY": "accepts no writes because it is a replica: set redis.url to the primary",
}
"""Replies of a server that can be read but not written to, by their first word."""

_BACKOFF_SECONDS: Final = 0.05
_BACKOFF_CAP_SECONDS: Final = 0.5


def connect(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    cluster: bool = False,
    connect_timeout_seconds: float = 5.0,
    timeout_seconds: float = 10.0,
    retries: int = 2,
) -> Client:
    """Return a client of the server or cluster at a URL.

    Parameters
    ----------
    url : `str`
        ``redis://``, ``rediss://`` (TLS) or ``unix://``, with the query options
        of `redis.Redis.from_url`.
    options : `~collections.abc.Mapping`, optional
        Options of `redis.Redis`, such as user, password and certificates.
    cluster : `bool`, optional
        Whether the URL names a node of a Redis Cluster.
    connect_timeout_seconds, timeout_seconds : `float`, optional
        Timeouts for connecting, and for each read or write on the socket.
    retries : `int`, optional
        How often a call is retried after a lost connection, with a backoff of
        50 to 500 ms. Every command that is sent may be repeated. The daemon
        adds its own, longer, backoff.

    Returns
    -------
    client : `redis.Redis` or `redis.cluster.RedisCluster`

    Raises
    ------
    CacheConfigurationError
        If the URL cannot be read.
    CacheUnavailableError
        If a cluster cannot be reached; a single server is not contacted yet.
    """
    all_options: dict[str, Any] = {
        **(options or {}),
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": connect_timeout_seconds,
        "retry": Retry(ExponentialWithJitterBackoff(base=_BACKOFF_SECONDS, cap=_BACKOFF_CAP_SECONDS), retries),
        "decode_responses": False,
    }
    try:
        if not cluster:
            return redis.Redis.from_url(url, **all_options)
        with translated_errors(_place(url)):
            return RedisCluster.from_url(url, **all_options)
    except ValueError:
        # The parser's own message may quote a piece of the password.
        raise CacheConfigurationError(
            "redis.url cannot be read: use redis://, rediss:// or unix://, and percent-encode the password"
        ) from None


def describe(client: Client) -> str:
    """Return where a client connects to, without credentials."""
    if isinstance(client, RedisCluster):
        return "cluster " + ", ".join(sorted(client.nodes_manager.startup_nodes))
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def database_of(client: Client) -> int:
    """Return the number of the database that a client uses; a cluster has only 0."""
    if isinstance(client, RedisCluster):
        return 0
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"


@contextmanager
def translated_errors(place: str) -> Iterator[None]:
    """Raise what redis-py raises as a `CacheError` that names the place and the remedy."""
    try:
        yield
    except (RedisError, RedisClusterException) as error:
        raise translate(error, place) from error


def translate(error: Exception, place: str) -> CacheError:
    """Return a redis-py error as one of the two kinds the daemon distinguishes.

    Parameters
    ----------
    error : `redis.exceptions.RedisError`
    place : `str`
        Address of the server, without credentials.

    Returns
    -------
    error : `CacheUnavailableError`, `CacheWritesRefusedError` or `CacheConfigurationError`
        The last for wrong credentials, missing permissions, and any reply
        that says that the server cannot run the command.
    """
    match error:
        case _ if isinstance(error.__context__, ssl.SSLError):
            return _tls_failure(error.__context__, place)
        case ResponseError() if refusal := _refused_writes(error):
            return CacheWritesRefusedError(f"Redis at {place} {refusal}")
        case (
            AuthenticationError()
            | AuthenticationWrongNumberOfArgsError()
            | AuthorizationError()
            | NoPermissionError()
        ):
            return CacheConfigurationError(
                f"Redis at {place} refuses the user and password of redis.url (or redis.username and "
                f"redis.password): {_refusal(error)}"
            )
        case _ if mode := _wrong_mode(error):
            return CacheConfigurationError(f"Redis at {place} {mode}")
        case ResponseError() if not isinstance(error, _PASSING) and not str(error).startswith(_BUSY):
            return CacheConfigurationError(f"Redis at {place} cannot serve as redis.url: {_unfitness(error)}")
        case _:
            return CacheUnavailableError(
                f"Redis at {place} is not available: {reason_of(error)}; "
                "is it up, and does it speak TLS where redis.url says so?"
            )


def _wrong_mode(error: Exception) -> str | None:
    if isinstance(error, ClusterCrossSlotError):
        return "is a node of a cluster: set redis.cluster to true"
    if isinstance(error, RedisClusterException) and _NO_CLUSTER in str(error):
        return "is not in cluster mode: set redis.cluster to false"
    return None


def _unfitness(error: ResponseError) -> str:
    if "unknown command" in str(error).lower() and "HELLO" in str(error):
        return "it is too old, it does not know HELLO; use Redis 6, Valkey 7.2 or later"
    return reason_of(error)


def _refusal(error: RedisError) -> str:
    # The server's answer to a client without a password is a manual of HELLO.
    if "HELLO must be called" in str(error):
        return "it asks for a password"
    if isinstance(error, NoPermissionError):
        return f"{reason_of(error)}; it needs MGET, MSET and PING on the keys of redis.prefix, and GETRANGE to warm"
    return reason_of(error)


def _refused_writes(error: ResponseError) -> str | None:
    # redis-py leaves the word out where it has a class for it.
    words = {OutOfMemoryError: "OOM", ReadOnlyError: "READONLY"}
    return _REFUSED_WRITES.get(words.get(type(error), str(error).partition(" ")[0]))


def _tls_failure(error: ssl.SSLError, place: str) -> CacheError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CacheConfigurationError(
            f"the certificate of Redis at {place} is not trusted: {error.verify_message}; set "
            "redis.ssl_ca_file to the authority that signed it, and redis.url to a host it was made for"
        )
    return CacheUnavailableError(
        f"Redis at {place} cannot be spoken to with TLS: {reason_of(error)}; if it speaks none, redis.url must "
        "begin with redis://, and if it asks for a certificate, set redis.ssl_certificate_file and redis.ssl_key_file"
    )
