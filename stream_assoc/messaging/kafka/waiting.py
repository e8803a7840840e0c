"""A sign while Kafka is waited for, so that a wrong address is seen at once and not when the wait is over."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError
from stream_assoc.settings.kafka_connection import KafkaConnectionSettings

SLOW_SECONDS: Final = 0.7
"""A broker that is there answers sooner."""

KAFKA_HINT: Final = "check kafka.bootstrap_servers, kafka.security_protocol and the brokers"


@contextlib.contextmanager
def told_when_slow(tell: Callable[[], object]) -> Iterator[None]:
    """Call this once, from another thread, if the block takes longer than `SLOW_SECONDS`."""
    timer = threading.Timer(SLOW_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def kafka_named(kafka: KafkaConnectionSettings, tell: Callable[[str], object]) -> Iterator[None]:
    """Tell which brokers are waited for if the block takes long, and name them if they do not answer.

    Raises
    ------
    KafkaUnavailableError
        As the block, with the address.
    """
    where = f"Kafka at {kafka.bootstrap_servers}"
    try:
        with told_when_slow(lambda: tell(f"Waiting for {where} ({KAFKA_HINT})")):
            yield
    except KafkaUnavailableError as error:
        raise KafkaUnavailableError(f"{where}: {reason_of(error)}") from error
