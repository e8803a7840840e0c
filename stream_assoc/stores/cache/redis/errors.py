"""The errors of Redis, as what a caller can do about them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

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

from stream_assoc.exceptions import reason_of
from stream_assoc.stores.cache.exceptions import (
    CacheConfigurationError,
    CacheError,
    CacheUnavailableError,
    CacheWritesRefusedError,
)

REFUSED_CREDENTIALS: Final = (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
)
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
        case RedisError() if isinstance(error, REFUSED_CREDENTIALS):
            return CacheConfigurationError(
                f"Redis at {place} refuses the user and password of redis.url (or redis.username and "
                f"redis.password): {refusal_of(error)}"
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


def does_not_know(error: Exception, command: str) -> bool:
    """Tell whether a server says that it has no such command."""
    text = str(error)
    return isinstance(error, ResponseError) and "unknown command" in text.lower() and command in text


def refusal_of(error: RedisError) -> str:
    """Return why a server refuses a user, as a clause."""
    # The server's answer to a client without a password is a manual of HELLO.
    if "HELLO must be called" in str(error):
        return "it asks for a password"
    if isinstance(error, NoPermissionError):
        return f"{reason_of(error)}; it needs MGET, MSET and PING on the keys of redis.prefix, and GETRANGE to warm"
    return reason_of(error)


def _wrong_mode(error: Exception) -> str | None:
    if isinstance(error, ClusterCrossSlotError):
        return "is a node of a cluster: set redis.cluster to true"
    if isinstance(error, RedisClusterException) and _NO_CLUSTER in str(error):
        return "is not in cluster mode: set redis.cluster to false"
    if any(does_not_know(error, command) for command in ("MSET", "MGET", "SELECT")):
        return "keeps no keys: if it is a Sentinel, set redis.sentinel_service to the name of what it watches"
    return None


def _unfitness(error: ResponseError) -> str:
    if does_not_know(error, "HELLO"):
        return "it is too old, it does not know HELLO; use Redis 6, Valkey 7.2 or later"
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
