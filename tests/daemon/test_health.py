"""What is shown of a service that comes and goes."""

import pytest

from stream_assoc.apdb.exceptions import ApdbUnavailableError
from stream_assoc.cache.exceptions import CacheUnavailableError
from stream_assoc.daemon.health import Health
from stream_assoc.exceptions import RetriableError
from stream_assoc.metrics.instruments import Instruments
from stream_assoc.stream.exceptions import PublishError, RegistryUnavailableError


@pytest.fixture
def instruments() -> Instruments:
    return Instruments()


def is_up(instruments: Instruments, service: str) -> float | None:
    return instruments.registry.get_sample_value("stream_assoc_service_up", {"service": service})


def n_retries(instruments: Instruments, service: str) -> float | None:
    return instruments.registry.get_sample_value("stream_assoc_retries_total", {"service": service})


@pytest.mark.parametrize(
    ("error", "service"),
    [
        (ApdbUnavailableError("away"), "apdb"),
        (CacheUnavailableError("away"), "cache"),
        (PublishError("away"), "kafka"),
        (RegistryUnavailableError("away"), "schema_registry"),
    ],
)
def test_a_failure_is_that_of_its_service(instruments: Instruments, error: RetriableError, service: str):
    health = Health(instruments)
    health.answers(["apdb", "cache", "kafka", "schema_registry"])
    health.failed(error)
    health.failed(error)
    assert n_retries(instruments, service) == 2
    shown = {name: is_up(instruments, name) for name in ("apdb", "cache", "kafka", "schema_registry")}
    assert shown == {name: float(name != service) for name in shown}
    health.recovered()
    assert is_up(instruments, service) == 1
    assert n_retries(instruments, service) == 2


def test_what_was_never_asked_is_not_shown(instruments: Instruments):
    health = Health(instruments)
    health.recovered()
    health.failed(RetriableError("of no service"))
    assert is_up(instruments, "apdb") is None
