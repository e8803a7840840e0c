"""Which topic stands behind a name: one that was deleted and made anew under the same name is another one."""

from collections.abc import Sequence
from concurrent.futures import Future
from time import monotonic
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import TopicDescription

from stream_assoc.messaging.kafka.client import LOGGER, Options
from stream_assoc.messaging.kafka.errors import describe, error_of
from stream_assoc.messaging.kafka.topics import admin_client

ASK_SECONDS: Final = 10.0
"""How often the identity of a topic is asked for."""

_NOTE: Final = "topic_id="


class TopicIdentities(Protocol):
    """Tells which topics stand behind their names."""

    def ask_again(self) -> None:
        """Ask at once, and believe no answer to an earlier question."""

    def answer(self) -> dict[str, str]:
        """Return the identities that were answered since the last call, by name; never wait for one."""


class KafkaTopicIdentities:
    """Asks the brokers now and then, without waiting for the answer.

    Brokers older than Kafka 2.8 know no identities; then there is never one.

    Parameters
    ----------
    options : `Mapping`
        librdkafka's options of every client.
    topics : `Sequence` [`str`]
        Their names.

    Raises
    ------
    KafkaConfigurationError
        If an option is unknown or has an impossible value.
    """

    def __init__(self, options: Options, topics: Sequence[str]) -> None:
        # The consumer says what is wrong with the brokers; one voice is enough.
        self._admin = admin_client({**options, "log_level": 0})
        self._topics = TopicCollection(list(topics))
        self._due = 0.0
        self._asked: dict[str, Future[TopicDescription]] = {}

    def ask_again(self) -> None:
        """Ask at once, and believe no answer to an earlier question."""
        self._asked = {}
        self._due = 0.0

    def answer(self) -> dict[str, str]:
        """Return the identities that were answered since the last call, by name; never wait for one."""
        if not self._asked and monotonic() >= self._due:
            self._due = monotonic() + ASK_SECONDS
            self._asked = self._admin.describe_topics(self._topics, request_timeout=ASK_SECONDS)
        if not all(future.done() for future in self._asked.values()):
            return {}
        asked, self._asked = self._asked, {}
        return {topic: found for topic, future in asked.items() if (found := _identity(future)) is not None}


def _identity(answered: "Future[TopicDescription]") -> str | None:
    try:
        found = answered.result(0).topic_id
    except KafkaException as exception:
        error = error_of(exception)
        # One that is gone may come again, as another one.
        if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            LOGGER.debug("identity of a topic unknown: %s", describe(error))
        return None
    is_known = found.get_most_significant_bits() or found.get_least_significant_bits()
    return str(found) if is_known else None


def note_of(identity: str | None) -> str:
    """Return what is committed beside an offset, so that it is known of which topic it is."""
    return "" if identity is None else f"{_NOTE}{identity}"


def noted(place: TopicPartition) -> str | None:
    """Return the identity of the topic that a committed offset is of; `None` where nobody has noted it."""
    # Other words are those of marks.
    words = (place.metadata or "").split(" ")
    return next((word.removeprefix(_NOTE) for word in words if word.startswith(_NOTE)), None)
