"""Which services answer, as Prometheus sees it."""

from collections.abc import Collection
from typing import Final

from stream_assoc.apdb.exceptions import ApdbError
from stream_assoc.cache.exceptions import CacheError
from stream_assoc.exceptions import RetriableError
from stream_assoc.metrics.instruments import Instruments
from stream_assoc.stream.exceptions import RegistryUnavailableError, StreamError

APDB: Final = "apdb"
CACHE: Final = "cache"
KAFKA: Final = "kafka"
SCHEMA_REGISTRY: Final = "schema_registry"

_SERVICES: Final = {
    ApdbError: APDB,
    CacheError: CACHE,
    RegistryUnavailableError: SCHEMA_REGISTRY,
    # The broader class comes last.
    StreamError: KAFKA,
}


class Health:
    """Keeps the instruments of what is up and how often it was not.

    Parameters
    ----------
    instruments : `Instruments`
        Where it is shown.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._down: set[str] = set()

    def answers(self, services: Collection[str]) -> None:
        """Show these services as up."""
        for service in services:
            self._instruments.set_up(service, up=True)
        self._down.difference_update(services)

    def failed(self, error: RetriableError) -> None:
        """Count a failure under the service that it came from, and show that one as down."""
        for base, service in _SERVICES.items():
            if isinstance(error, base):
                self._instruments.count_retry(service)
                self._instruments.set_up(service, up=False)
                self._down.add(service)
                return

    def recovered(self) -> None:
        """Show as up what was down: the work that had failed is done."""
        self.answers(list(self._down))
