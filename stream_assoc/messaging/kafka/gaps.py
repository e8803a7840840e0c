"""Where each partition is read, and what was gone before it was read.

The client library would go on elsewhere with a line in its own log, or with
none. Here it is told to report it instead (``auto.offset.reset=error``), so
that each such gap is known by its offsets.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import TopicDescription

from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.client import LOGGER, Options
from stream_assoc.messaging.kafka.errors import (
    KafkaConfigurationError,
    KafkaUnavailableError,
    describe,
    error_of,
    translate,
)
from stream_assoc.messaging.kafka.topics import admin_client
from stream_assoc.messaging.marks import Partition

ANSWER_SECONDS: Final = 10.0
"""How long a question to the broker may take."""

SIGN_OF_LIFE_SECONDS: Final = 3.0
"""How long to wait for any broker, where another question was not answered."""

ASK_SECONDS: Final = 10.0
"""How often the identity of a topic is asked for."""

_NOTE: Final = "topic_id="

Cause = Literal["deleted", "truncated", "recreated"]
"""``deleted``: the broker has deleted messages that were not read, by retention or by order. ``truncated``: the
partition ends before what was read. ``recreated``: the topic was deleted and made anew under the same name."""

ResetPolicy = Literal["earliest", "latest", "error"]

_POLICIES: Final[dict[object, ResetPolicy]] = {
    **dict.fromkeys(("latest", "largest", "end"), "latest"),
    "error": "error",
}

_BEGINNINGS: Final[dict[ResetPolicy, int]] = {
    "earliest": OFFSET_BEGINNING,
    "latest": OFFSET_END,
    # Without an offset the client library reports that there is none.
    "error": OFFSET_INVALID,
}


@dataclass(frozen=True, slots=True)
class Gap:
    """A partition that does not go on where it was read to.

    Attributes
    ----------
    topic : `str`
    partition : `int`
    cause : `Cause` or `None`
        Why; `None` if nothing had been read, so that nothing is missing.
    expected : `int`
        The offset that was to be read next.
    resumed : `int`
        The offset that reading goes on at.
    """

    topic: str
    partition: int
    cause: Cause | None
    expected: int
    resumed: int

    @property
    def n_skipped(self) -> int:
        """Offsets that will never be read; the marks of transactions have some of them."""
        return self.resumed - self.expected if self.cause == "deleted" else 0

    def __str__(self) -> str:
        place = f"{self.topic}[{self.partition}]"
        match self.cause:
            case "deleted":
                return f"{place}: offsets {self.expected} to {self.resumed - 1} were gone before they were read"
            case "truncated":
                return f"{place} ended before offset {self.expected}, the next to be read; read from {self.resumed}"
            case "recreated":
                return f"{place} is another one than was read up to {self.expected - 1}; read from {self.resumed}"
        return f"{place}: read from {self.resumed}"


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


class ReadingPlaces:
    """Knows what is to be read next of each partition, and of which topic that is.

    Parameters
    ----------
    reset : `object`
        The user's ``auto.offset.reset``.
    identities : `TopicIdentities`, optional
        Tells which topic stands behind a name.
    """

    def __init__(self, reset: object, identities: TopicIdentities | None = None) -> None:
        self._policy = _POLICIES.get(reset, "earliest")
        self._identities = identities
        self._topic_ids: dict[Partition, str | None] = {}
        self._next: dict[Partition, int] = {}
        self._displaced: set[Partition] = set()

    def begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where to begin with new partitions: after what is committed, where nothing is as configured."""
        if self._identities is not None:
            self._identities.ask_again()
        if not partitions:
            # A rebalance that brings nothing; the client library would wait for an answer in vain.
            return []
        for one in partitions:
            self._next.pop((one.topic, one.partition), None)
        try:
            places = consumer.committed(partitions, timeout=ANSWER_SECONDS)
        except KafkaException as exception:
            # The client library asks again by itself, for as long as it takes.
            LOGGER.warning("%s", no_offsets(consumer, partitions, error_of(exception), "asking where to begin"))
            return partitions
        self._tell_of_unusual(places)
        return [self._beginning(place) for place in places]

    def reads_next(self, partition: Partition, offset: int) -> None:
        """Note what is to be read next."""
        self._next[partition] = offset

    def has_nothing_next(self, partition: Partition) -> None:
        """Note that the broker does not have what was to be read next."""
        self._displaced.add(partition)

    def note(self, partition: Partition) -> str:
        """Return what is to be committed beside an offset."""
        return note_of(self._topic_ids.get(partition))

    def gaps(self, consumer: Consumer, owned: Collection[Partition]) -> Iterator[Gap]:
        """Yield each owned partition that has to be read elsewhere.

        Raises
        ------
        KafkaConfigurationError
            If the user wants no partition to be read elsewhere.
        confluent_kafka.KafkaException
            If no broker answers; the same is yielded again.
        """
        for partition in sorted(self._displaced):
            if partition in owned:
                yield self._displacement(consumer, partition)
            self._displaced.discard(partition)
        for topic, topic_id in (self._identities.answer() if self._identities is not None else {}).items():
            for partition in sorted(one for one in owned if one[0] == topic):
                known = self._topic_ids.get(partition)
                if known is not None and known != topic_id:
                    yield Gap(*partition, "recreated", self._next.get(partition, 0), _ends(consumer, partition)[0])
                self._topic_ids[partition] = topic_id

    def _tell_of_unusual(self, places: Sequence[TopicPartition]) -> None:
        """Log the partitions that are not read on where a daemon of this group has read to."""
        if new := [place for place in places if place.offset < 0]:
            LOGGER.log(
                # Only what is read again is certain to count.
                logging.INFO if self._policy == "earliest" else logging.WARNING,
                "the group has no offset of %s: read as auto.offset.reset=%s. So it is at a first start, of "
                "partitions that were added, and when offsets were deleted or expired (offsets.retention.minutes)",
                _names(new),
                self._policy,
            )
        if foreign := [place for place in places if place.offset >= 0 and not place.metadata]:
            LOGGER.warning(
                "the group's offset of %s was set by somebody else, or in a daemon's first seconds; read from there",
                ", ".join(f"{place.topic}[{place.partition}] at {place.offset}" for place in foreign),
            )

    def _beginning(self, committed: TopicPartition) -> TopicPartition:
        partition = (committed.topic, committed.partition)
        self._topic_ids[partition] = noted(committed)
        if committed.offset >= 0:
            self._next[partition] = committed.offset
            return committed
        return TopicPartition(*partition, _BEGINNINGS[self._policy])

    def _displacement(self, consumer: Consumer, partition: Partition) -> Gap:
        expected = self._next.get(partition)
        if expected is None:
            (place,) = consumer.committed([TopicPartition(*partition)], timeout=ANSWER_SECONDS)
            self._topic_ids[partition] = noted(place)
            expected = place.offset if place.offset >= 0 else None
        low, high = _ends(consumer, partition)
        latest = high if self._policy == "latest" else low
        if expected is None:
            gap = Gap(*partition, None, latest, latest)
        elif low > expected:
            gap = Gap(*partition, "deleted", expected, latest)
        else:
            # It was shorter a moment ago. What it has now may all be new.
            gap = Gap(*partition, "truncated", expected, low)
        if self._policy == "error":
            what = f"the group has no offset of {partition[0]}[{partition[1]}]" if expected is None else str(gap)
            raise KafkaConfigurationError(
                f"{what}; kafka.librdkafka_consumer auto.offset.reset is error: set it to earliest to read from "
                f"{low}, or give the group another offset"
            )
        return gap


def no_offsets(consumer: Consumer, asked: Sequence[TopicPartition], error: KafkaError, doing: str) -> StreamError:
    """Return what to say of committed offsets that were asked for in vain.

    The broker holds them back as long as a transaction is open that commits
    others. To the client library that is silence, as if no broker were up.
    """
    if error.code() == KafkaError._TIMED_OUT and _answers(consumer, asked[0]):
        return KafkaUnavailableError(
            f"{doing}: they are held back by a transaction that is still open, of a daemon that was killed or is cut "
            "off; the broker ends it after transaction.timeout.ms, 60 s by default, and some 10 s more. A start "
            "under the same kafka.transactional_id ends it at once: set that or kafka.group_instance_id"
        )
    return translate(error, doing)


def _answers(consumer: Consumer, place: TopicPartition) -> bool:
    # Within a callback of the client library, list_topics ends the process.
    try:
        consumer.get_watermark_offsets(place, timeout=SIGN_OF_LIFE_SECONDS)
    except KafkaException:
        return False
    return True


def _names(places: Sequence[TopicPartition]) -> str:
    return ", ".join(f"{place.topic}[{place.partition}]" for place in places)


def _ends(consumer: Consumer, partition: Partition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=ANSWER_SECONDS)
    return int(low), int(high)
