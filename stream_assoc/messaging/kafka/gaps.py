"""Where each partition is read, and what was gone before it was read.

The client library would go on elsewhere with a line in its own log, or with
none. Here it is told to report it instead (``auto.offset.reset=error``), so
that each such gap is known by its offsets.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.client import LOGGER
from stream_assoc.messaging.kafka.errors import (
    KafkaConfigurationError,
    KafkaUnavailableError,
    error_of,
    translate,
)
from stream_assoc.messaging.kafka.leader_epochs import LeaderEpochs
from stream_assoc.messaging.kafka.topic_identities import TopicIdentities, note_of, noted
from stream_assoc.messaging.marks import Partition

ANSWER_SECONDS: Final = 10.0
"""How long a question to the broker may take."""

SIGN_OF_LIFE_SECONDS: Final = 3.0
"""How long to wait for any broker, where another question was not answered."""

Cause = Literal["deleted", "skipped", "truncated", "recreated"]
"""``deleted``: the broker has deleted messages that were not read, by retention or by order. ``skipped``: the group
has no offset, and ``auto.offset.reset`` is ``latest``. ``truncated``: the partition has lost messages that were read,
and may have others in their place. ``recreated``: the topic was deleted and made anew under the same name."""

TakenUp = Callable[[Collection[Partition]], Mapping[Partition, int]]
"""Returns, of partitions, the offset behind the last message that any daemon has taken up; none where none has."""

ResetPolicy = Literal["earliest", "latest", "error"]

_POLICIES: Final[dict[object, ResetPolicy]] = {
    **dict.fromkeys(("latest", "largest", "end"), "latest"),
    "error": "error",
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
        return self.resumed - self.expected if self.cause in ("deleted", "skipped") else 0

    def __str__(self) -> str:
        place = f"{self.topic}[{self.partition}]"
        match self.cause:
            case "deleted":
                return f"{place}: offsets {self.expected} to {self.resumed - 1} were gone before they were read"
            case "skipped":
                return (
                    f"{place}: offsets {self.expected} to {self.resumed - 1} are skipped: the group has no offset, "
                    "and kafka.librdkafka_consumer auto.offset.reset is latest"
                )
            case "truncated":
                return (
                    f"{place} has lost messages below offset {self.expected}, the next to be read, and may have "
                    f"others there; read from {self.resumed}"
                )
            case "recreated":
                return f"{place} is another one than was read up to {self.expected - 1}; read from {self.resumed}"
        return f"{place}: read from {self.resumed}"


class ReadingPlaces:
    """Knows what is to be read next of each partition, and of which topic that is.

    Parameters
    ----------
    reset : `object`
        The user's ``auto.offset.reset``.
    identities : `TopicIdentities`, optional
        Tells which topic stands behind a name.
    taken_up : `TakenUp`, optional
        Asked of partitions that the group has no offset of.
    """

    def __init__(
        self, reset: object, identities: TopicIdentities | None = None, taken_up: TakenUp = lambda partitions: {}
    ) -> None:
        self._policy = _POLICIES.get(reset, "earliest")
        self._identities = identities
        self._taken_up = taken_up
        self._epochs = LeaderEpochs()
        self._topic_ids: dict[Partition, str | None] = {}
        self._next: dict[Partition, int] = {}
        self._displaced: set[Partition] = set()
        self._unchecked: dict[Partition, TopicPartition] = {}

    def begin(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Return where to begin with new partitions: after what is committed, where nothing is as configured."""
        if self._identities is not None:
            self._identities.ask_again()
        if not partitions:
            # A rebalance that brings nothing; the client library would wait for an answer in vain.
            return []
        for one in partitions:
            self._next.pop((one.topic, one.partition), None)
            self._epochs.begin((one.topic, one.partition))
            self._unchecked.pop((one.topic, one.partition), None)
        try:
            places = consumer.committed(partitions, timeout=ANSWER_SECONDS)
        except KafkaException as exception:
            # The client library asks again by itself, for as long as it takes.
            LOGGER.warning("%s", no_offsets(consumer, partitions, error_of(exception), "asking where to begin"))
            return partitions
        self._tell_of_unusual(places)
        return [self._beginning(place) for place in places]

    def has_read(self, partition: Partition, offset: int, epoch: int | None) -> None:
        """Note a message that was read, and the epoch of its leader."""
        self._next[partition] = offset + 1
        self._epochs.note(partition, offset, epoch)

    def goes_back(self, partition: Partition, offset: int) -> TopicPartition:
        """Note that a message is to be read again, and return its place."""
        self._next[partition] = offset
        place = TopicPartition(*partition, offset, leader_epoch=self._epochs.before(partition, offset))
        self._unchecked[partition] = place
        return place

    def goes_on_after(self, gap: Gap) -> TopicPartition:
        """Note that reading goes on elsewhere, and return where."""
        partition = (gap.topic, gap.partition)
        self._next[partition] = gap.resumed
        self._unchecked.pop(partition, None)
        self._epochs.begin(partition)
        return TopicPartition(*partition, gap.resumed)

    def has_nothing_next(self, partition: Partition) -> None:
        """Note that the broker does not have what was to be read next."""
        self._displaced.add(partition)

    def has_place(self, partition: Partition) -> bool:
        """Tell whether it is known where the partition is read."""
        return partition not in self._displaced and partition not in self._unchecked

    def check(self, consumer: Consumer, owned: Collection[Partition]) -> None:
        """Have Kafka asked whether partitions still hold what was read before the places they are read from.

        Assigning asks only where the leader is not known yet (librdkafka #5158); seeking always does. A partition
        that is about to be read cannot be sought in: it delivers nothing until the next time.

        Raises
        ------
        confluent_kafka.KafkaException
            If the client library refuses a place.
        """
        for partition, place in list(self._unchecked.items()):
            try:
                if partition in owned:
                    consumer.seek(place)
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError._STATE:
                    raise
                continue
            del self._unchecked[partition]

    def note(self, partition: Partition) -> str:
        """Return what is to be committed beside an offset."""
        return note_of(self._topic_ids.get(partition))

    def epochs_before(self, offsets: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return the leader epochs that are to be committed with offsets: those of the messages before them."""
        return {partition: self._epochs.before(partition, offset) for partition, offset in offsets.items()}

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
        if committed.offset < 0:
            # Where it begins is asked for when it is polled; until then it delivers nothing.
            self._displaced.add(partition)
            return TopicPartition(*partition, OFFSET_BEGINNING)
        self._next[partition] = committed.offset
        self._epochs.begin(partition, committed.offset, committed.leader_epoch)
        return self.goes_back(partition, committed.offset)

    def _displacement(self, consumer: Consumer, partition: Partition) -> Gap:
        expected = self._next.get(partition)
        if expected is None:
            (place,) = consumer.committed([TopicPartition(*partition)], timeout=ANSWER_SECONDS)
            self._topic_ids[partition] = noted(place)
            expected = place.offset if place.offset >= 0 else None
        low, high = _ends(consumer, partition)
        latest = high if self._policy == "latest" else low
        if expected is None:
            gap = self._without_offset(partition, low, high)
        elif low > expected:
            gap = Gap(*partition, "deleted", expected, latest)
        elif low == expected:
            # All that there is will be read. The client library may report a loss twice.
            return Gap(*partition, None, expected, low)
        else:
            # It was shorter a moment ago, or is another one below. What it has now may all be new.
            gap = Gap(*partition, "truncated", expected, low)
        if self._policy == "error":
            what = f"the group has no offset of {partition[0]}[{partition[1]}]" if expected is None else str(gap)
            raise KafkaConfigurationError(
                f"{what}; kafka.librdkafka_consumer auto.offset.reset is error: set it to earliest to read from "
                f"{low}, or give the group another offset"
            )
        return gap

    def _without_offset(self, partition: Partition, low: int, high: int) -> Gap:
        """Return where a partition is read that the group has no offset of: daemons may have read it long ago."""
        latest = high if self._policy == "latest" else low
        expected = self._taken_up([partition]).get(partition)
        if expected is None:
            return Gap(*partition, None, latest, latest)
        if low > expected:
            return Gap(*partition, "deleted", expected, latest)
        if expected > high:
            return Gap(*partition, "truncated", expected, low)
        return Gap(*partition, "skipped" if latest > expected else None, expected, latest)


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
