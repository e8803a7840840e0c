"""Sentinels: servers that watch a primary and its replicas, and tell which of them is the primary now."""

from collections.abc import Mapping
from typing import Any, cast

import redis
from redis.connection import SSLConnection
from redis.exceptions import RedisError
from redis.sentinel import Sentinel, SentinelManagedConnection

from stream_assoc.stores.cache.exceptions import CacheConfigurationError, CacheError, CacheUnavailableError
from stream_assoc.stores.cache.redis.errors import (
    REFUSED_CREDENTIALS,
    does_not_know,
    refusal_of,
    translate,
)


class ServiceConnection(SentinelManagedConnection):
    """A connection to whoever is the primary of a service when it is opened.

    redis-py's own asks for the primary when it is opened the first time, and is
    opened again to the same server when a call is retried (redis-py issue 3874).
    It also stays open after an answer that did not come in time, which who is
    lent it next would take for its own.
    """

    def connect(self) -> None:
        """Open it, and try again for as long as the retries go."""
        super(SentinelManagedConnection, self).connect()  # type: ignore[no-untyped-call]

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = False) -> None:
        """Open it, to one server once, unless it is open."""
        if not self.is_connected:
            self.host, self.port = self.connection_pool.get_master_address()
        super().connect_check_health(check_health, retry_socket_connect=False)

    def read_response(  # type: ignore[override]
        self,
        *args: Any,  # noqa: ANN401 - redis-py's own, which differ between its versions
        disconnect_on_error: bool = True,
        **options: Any,  # noqa: ANN401 - the same
    ) -> Any:  # noqa: ANN401 - what a server answers
        """Return an answer, as `redis.Connection` does."""
        return super().read_response(*args, disconnect_on_error=disconnect_on_error, **options)


class EncryptedServiceConnection(ServiceConnection, SSLConnection):
    """The same, over TLS."""


class Sentinels(Sentinel):
    """redis-py's Sentinel, which says why there is no primary.

    Each new connection to the service asks for its primary, so that it leads to
    the replica that has taken over.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the primary, by the first sentinel that knows one that is up.

        Raises
        ------
        CacheConfigurationError
            If every sentinel refuses us, or watches no such service.
        CacheUnavailableError
            If there is no primary at the moment, or no sentinel to ask.
        """
        troubles: list[CacheError] = []
        for sentinel in self.sentinels:
            try:
                services = cast("Mapping[str, Any]", sentinel.sentinel_masters())
            except RedisError as error:
                troubles.append(_translate(error, address_of(sentinel)))
                continue
            state = services.get(service_name)
            if state is not None and self.check_master_state(state, service_name):  # type: ignore[no-untyped-call]
                # One that is away is not waited for the next time.
                self.sentinels = [sentinel, *(one for one in self.sentinels if one is not sentinel)]
                return state["ip"], state["port"]
            troubles.append(_without_primary(service_name, services, address_of(sentinel)))
        raise min(troubles, key=lambda trouble: isinstance(trouble, CacheConfigurationError))


def address_of(sentinel: redis.Redis) -> str:
    """Return host and port of a sentinel."""
    options = sentinel.connection_pool.connection_kwargs
    return f"{options['host']}:{options['port']}"


def _without_primary(service: str, services: Mapping[str, Any], place: str) -> CacheError:
    if service in services:
        return CacheUnavailableError(
            f"the Sentinel at {place} takes the primary of {service} for dead: a replica has not taken over yet, or "
            "there is none"
        )
    watched = ", ".join(sorted(services)) or "none"
    return CacheConfigurationError(
        f"the Sentinel at {place} watches no service {service} (it watches: {watched}): correct "
        "redis.sentinel_service"
    )


def _translate(error: RedisError, place: str) -> CacheError:
    if isinstance(error, REFUSED_CREDENTIALS):
        return CacheConfigurationError(
            f"the Sentinel at {place} refuses redis.sentinel_username and redis.sentinel_password: "
            f"{refusal_of(error)}"
        )
    if does_not_know(error, "SENTINEL"):
        return CacheConfigurationError(
            f"Redis at {place} is no Sentinel: with redis.sentinel_service set, redis.url must name Sentinels "
            "(their port is 26379, if nothing else was chosen)"
        )
    return translate(error, place)
