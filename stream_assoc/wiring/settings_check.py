"""Checking settings against the rest of the package and the client library.

`stream_assoc.settings` checks values, and settings that contradict each other.
This module checks them against the registry of statistics, the places of images
and librdkafka. No server is contacted.
"""

from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer

from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.avro.alerts.schemas import alert_schema_id
from stream_assoc.messaging.exceptions import AvroSchemaError
from stream_assoc.messaging.kafka.client import consumer_options, transactional_options
from stream_assoc.messaging.kafka.errors import describe, error_of
from stream_assoc.settings import ConfigurationError, Settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.wiring.pipeline import association_algorithms_of, calculator_of, photometer_of
from stream_assoc.wiring.warming import check_radius


def check_settings(settings: Settings) -> None:
    """Check what can be checked without a server.

    Raises
    ------
    ConfigurationError
        If something cannot work; a line for each part at fault.
    """
    faults = []
    for check in CHECKS:
        try:
            check(settings)
        except FatalError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("\n".join(faults))


def check_consumer(settings: Settings) -> None:
    """Let librdkafka judge the options of the daemon's consumer.

    Raises
    ------
    ConfigurationError
        If it knows no option of a name, refuses its value, or finds that two contradict each other.
    """
    kafka = settings.kafka
    options = consumer_options(
        kafka.consumer_options(), kafka.group_id, kafka.group_instance_id, kafka.max_message_bytes
    )
    _judged(Consumer, options, "kafka.librdkafka or kafka.librdkafka_consumer").close()


def check_producer(settings: Settings) -> None:
    """Let librdkafka judge the options of the daemon's producer; raises as `check_consumer`."""
    kafka = settings.kafka
    options = transactional_options(
        kafka.producer_options(), kafka.effective_transactional_id, kafka.max_message_bytes
    )
    _judged(Producer, options, "kafka.librdkafka or kafka.librdkafka_producer")


def _judged(client: Callable[[dict[str, Any]], Any], options: dict[str, Any], settings: str) -> Any:  # noqa: ANN401
    # A client connects when it is first used; one that is only made judges its options and is dropped.
    try:
        return client({**options, "log_level": 0})
    except KafkaException as error:
        raise ConfigurationError(f"{settings}: librdkafka says: {describe(error_of(error))}") from None


def _check_images(settings: Settings) -> None:
    photometer_of(settings.images, settings.forced_photometry)


def _check_warming(settings: Settings) -> None:
    if settings.warming.enabled:
        check_radius(settings)


def _check_alerts(settings: Settings) -> None:
    try:
        alert_schema_id(settings.alerts.schema_version)
    except AvroSchemaError as error:
        raise ConfigurationError(f"alerts.schema_version: {error}") from None


def _check_apdb(settings: Settings) -> None:
    parse_url(settings.apdb.connection_url())


CHECKS: Final[tuple[Callable[[Settings], object], ...]] = (
    _check_images,
    _check_apdb,
    calculator_of,
    association_algorithms_of,
    check_consumer,
    check_producer,
    _check_warming,
    _check_alerts,
)
