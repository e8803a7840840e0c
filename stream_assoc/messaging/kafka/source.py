"""Input messages from Kafka, and the knowledge of which of them are still ours."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.client import (
    DEFAULT_MAX_MESSAGE_BYTES,
    LOGGER,
    Options,
    consumer_options,
    input_message,
    position_of,
)
from stream_assoc.messaging.kafka.errors import PartitionLostError, error_of, translate
from stream_assoc.messaging.kafka.gaps import ReadingPlaces, TakenUp
from stream_assoc.messaging.kafka.hooks import NO_HOOKS, STATISTICS_MS, SourceHooks, group_state
from stream_assoc.messaging.kafka.offsets import REQUEST_TIMEOUT_SECONDS, committed_offsets, lags_of, partition_counts
from stream_assoc.messaging.kafka.ownership import Claim, Ownership, earliest_of, partition_of
from stream_assoc.messaging.kafka.topic_identities import TopicIdentities
from stream_assoc.messaging.marks import KeptOffset, Partition, Standing

MAX_POLL_INTERVAL_MS: Final = 300_000
"""librdkafka's default."""

IDLE_STEP_SECONDS: Final = 0.5
"""Idling polls in steps, to return soon after partitions were taken away."""

LEAVE_STEP_SECONDS: Final = 0.05
"""Leaving is polled in steps, to return soon after the group has been told."""

LOGGED_BY_LIBRARY: Final = frozenset({KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._PARTITION_EOF})
"""librdkafka has logged the first two; none needs a line of our own."""


class KafkaSource:
    """A member of a consumer group; the publisher commits its offsets with the outputs.

    Call `poll` or `idle` at least every `max_poll_interval_seconds`, or the
    group takes the member for dead. Both call the hooks. While one thread works
    on the messages it has polled, another may `pause`, `idle` and `resume`; only
    the first may `poll` and `rewind`. `owns` and `claim` never enter the client
    library, so work goes on while a hook waits in it.

    Parameters
    ----------
    options : `Mapping`
        librdkafka's options. Those that exactly-once processing needs are
        overridden: auto-commit, isolation level, assignment strategy.
    topics : `Sequence` [`str`]
        What to read.
    group_id : `str`
        Consumer group.
    group_instance_id : `str`, optional
        Static membership: a restart within ``session.timeout.ms`` gets the
        same partitions back without a rebalance.
    max_message_bytes : `int`
        Largest message to be read.
    identities : `TopicIdentities`, optional
        Detects a topic that was deleted and created again.
    taken_up : `TakenUp`, optional
        Says how far daemons have read a partition that the group has no offset of any more.
    hooks : `SourceHooks`, optional

    Attributes
    ----------
    max_poll_interval_seconds : `float`
        Longest time between two polls of a living member, and the longest that
        ``on_revoke`` may take.

    Raises
    ------
    KafkaConfigurationError
        If an option is unknown or has an impossible value.
    """

    def __init__(  # noqa: PLR0913 - all but two are optional
        self,
        options: Options,
        topics: Sequence[str],
        *,
        group_id: str,
        group_instance_id: str | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        identities: TopicIdentities | None = None,
        taken_up: TakenUp = lambda partitions: {},
        hooks: SourceHooks = NO_HOOKS,
    ) -> None:
        self._doing = f"reading {', '.join(topics)} as group {group_id}"
        self._topics = tuple(topics)
        self._hooks = hooks
        self._ownership = Ownership()
        self._n_pauses = 0
        self._counting = threading.Lock()
        self._member: object | None = None
        self._pending_error: StreamError | None = None
        all_options: dict[str, Any] = consumer_options(options, group_id, group_instance_id, max_message_bytes)
        self._places = ReadingPlaces(all_options["auto.offset.reset"], identities, taken_up)
        self.max_poll_interval_seconds = float(all_options.get("max.poll.interval.ms", MAX_POLL_INTERVAL_MS)) / 1000.0
        with self._translated(self._doing):
            self._consumer = Consumer(
                {
                    **all_options,
                    # The client library would go on elsewhere without a word; here it is told, and counted.
                    "auto.offset.reset": "error",
                    "error_cb": self._on_error,
                    "stats_cb": lambda statistics: hooks.on_group_state(group_state(statistics)),
                    "statistics.interval.ms": STATISTICS_MS,
                }
            )
            self._consumer.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )

    @property
    def partitions(self) -> frozenset[Partition]:
        """The partitions that are assigned here."""
        return self._ownership.partitions

    def poll(self, max_messages: int, timeout_seconds: float) -> list[InputMessage]:
        """Return up to ``max_messages`` messages, waiting at most that long for the first.

        An outage raises nothing: no messages come, and reading goes on by itself
        when a broker is back. If it lasts longer than ``session.timeout.ms``,
        the partitions are lost.

        Raises
        ------
        KafkaConfigurationError, ConsumerFencedError, KafkaClientError
            If reading cannot go on. Messages read before come first: the error
            is raised by the next call.
        KafkaUnavailableError
            If no broker tells where to go on after a gap.
        """
        self._raise_pending()
        self._go_on_after_gaps()
        polled: list[Message] = []
        with self._translated(self._doing):
            # `consume` would wait until it has all it may return.
            first = self._consumer.poll(timeout_seconds)
            if first is not None:
                polled = (
                    [first, *self._consumer.consume(max_messages - 1, timeout=0)] if max_messages > 1 else [first]
                )
        messages = [self._deliver(message) for message in polled if self._is_deliverable(message)]
        if messages:
            self._note_member()
        else:
            self._raise_pending()
        return messages

    def idle(self, seconds: float) -> None:
        """Spend this time, or none, keeping the group membership alive; call it while paused.

        Returns early when partitions were taken away.
        """
        before = self.partitions
        deadline = time.monotonic() + seconds
        left = seconds
        while before <= self.partitions and left >= 0.0:
            with self._translated(self._doing):
                message = self._consumer.poll(min(left, IDLE_STEP_SECONDS))
            if message is not None and self._is_deliverable(message):
                # Idling without a pause: give it back.
                self.rewind([position_of(message)])
            left = deadline - time.monotonic()
        self._note_member()

    @property
    def assignments(self) -> dict[Partition, int]:
        """The partitions that are assigned here, each with the number of its assignment."""
        return self._ownership.assignments

    def owns(self, position: InputPosition) -> bool:
        """Tell whether this message was read under the current assignment of its partition."""
        return self._ownership.holds(position)

    def standings(self, partitions: Collection[Partition]) -> dict[Partition, Standing]:
        """Return what the group has committed of each partition that it has committed anything of.

        Waits for transactions that are being committed, so the answer is final.
        """
        return committed_offsets(self._consumer, partitions, self._doing)

    def beginning(self, partition: Partition) -> int:
        """Return the offset of the oldest message that is kept."""
        with self._translated(f"asking where {partition[0]}[{partition[1]}] begins"):
            low, _ = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=REQUEST_TIMEOUT_SECONDS)
        return low

    def existing(self) -> dict[str, int]:
        """Return how many partitions each topic that is read has now; those that do not exist are left out."""
        with self._translated(f"asking for partitions while {self._doing}"):
            return partition_counts(self._consumer, self._topics)

    def lag(self) -> dict[Partition, int]:
        """Return how many offsets each owned partition is behind its end, transaction markers included.

        The end is that of the partition's last fetch: asking the broker would
        wait behind the fetch that is under way, a quarter of a second a
        partition. A partition that has not been fetched yet is left out.
        """
        owned = sorted(self.partitions)
        with self._translated(f"asking for positions while {self._doing}"):
            return lags_of(self._consumer, owned, self._doing)

    def claim(
        self, consumed: Sequence[InputPosition], kept: Mapping[Partition, KeptOffset] = MappingProxyType({})
    ) -> Claim:
        """Return what a transactional producer needs to commit these messages as done, as this very member.

        Of the partitions ``kept`` the offset stays where it is unless more of them is consumed.

        The broker refuses it once the group has gone on without this member.

        Raises
        ------
        PartitionLostError
            If any of them is not ours any more.
        """
        # In this order: a member that has joined again since would be believed, but has lost its partitions.
        member = self._member
        offsets = self._ownership.offsets_after(consumed, kept)
        if member is None and offsets:
            raise PartitionLostError([InputPosition(*partition, offset) for partition, offset in offsets.items()])
        notes = {partition: self._places.note(partition) for partition in offsets}
        return Claim(offsets, member, notes, self._places.epochs_before(offsets))

    def rewind(self, positions: Sequence[InputPosition]) -> None:
        """Read again from these positions on; those of partitions no longer owned are passed over."""
        for position in earliest_of(positions):
            if (position.topic, position.partition) in self.partitions:
                with self._translated(f"rewinding {position.topic}[{position.partition}] to {position.offset}"):
                    self._read_from(self._places.goes_back(partition_of(position), position.offset))
                self._ownership.rewind(position)

    def pause(self) -> None:
        """Deliver nothing until as many calls of `resume`, from partitions assigned meanwhile neither."""
        with self._counting:
            self._n_pauses += 1
        with self._translated("pausing"):
            self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Deliver again, if everybody who paused has resumed."""
        with self._counting:
            self._n_pauses -= 1
            is_last = self._n_pauses == 0
        if is_last:
            with self._translated("resuming"):
                self._consumer.resume(self._consumer.assignment())

    def close(self, *, leave: bool = False) -> None:
        """Leave the group; a static member's place is kept for ``session.timeout.ms`` unless it is to ``leave``."""
        if leave:
            self._leave()
        self._consumer.close()

    def _leave(self) -> None:
        """Give all partitions up and tell the group, which the client library does for no static member by itself."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_SECONDS
        with self._translated(f"leaving while {self._doing}"):
            self._consumer.unsubscribe()
            while self._consumer.memberid() and time.monotonic() < deadline:
                self._consumer.poll(LEAVE_STEP_SECONDS)

    def _is_deliverable(self, message: Message) -> bool:
        """Tell whether this is a message of ours, not an error."""
        if (error := message.error()) is not None:
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._places.has_nothing_next((str(message.topic()), int(message.partition() or 0)))
            else:
                self._on_error(error)
            return False
        partition = (str(message.topic()), int(message.partition() or 0))
        # A rebalance within the same poll may have taken its partition away, or brought it.
        return partition in self.partitions and self._places.has_place(partition)

    def _deliver(self, message: Message) -> InputMessage:
        delivered = input_message(message)
        self._ownership.deliver(delivered.position)
        self._places.has_read(partition_of(delivered.position), delivered.position.offset, message.leader_epoch())
        return delivered

    def _go_on_after_gaps(self) -> None:
        with self._translated(f"going on after a gap while {self._doing}"):
            for gap in self._places.gaps(self._consumer, self.partitions):
                self._read_from(self._places.goes_on_after(gap))
                self._ownership.rewind(InputPosition(gap.topic, gap.partition, 0))
                if gap.cause is not None:
                    self._hooks.on_gap(gap)
            self._places.check(self._consumer, self.partitions)

    def _read_from(self, place: TopicPartition) -> None:
        # A partition that has failed cannot be sought in; one that is assigned anew can be read.
        self._consumer.incremental_unassign([place])
        self._consumer.incremental_assign([place])
        if self._n_pauses:
            self._consumer.pause([place])

    def _note_member(self) -> None:
        """Remember who this member is, for `claim`; one that was thrown out is nobody until it has joined again."""
        try:
            member = self._consumer.consumer_group_metadata()
        except RuntimeError:
            # There is none while the consumer is being closed.
            self._member = None
        else:
            self._member = member if self._consumer.memberid() else None

    def _raise_pending(self) -> None:
        error, self._pending_error = self._pending_error, None
        if error is not None:
            raise error

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in LOGGED_BY_LIBRARY:
            return
        translated = translate(error, self._doing)
        if isinstance(translated, FatalError):
            self._pending_error = translated
        else:
            # librdkafka gets over it by itself.
            LOGGER.warning("%s", translated)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(self._places.begin(consumer, partitions))
        self._ownership.gain(_keys(partitions))
        if self._n_pauses:
            consumer.pause(partitions)
        else:
            # One that went while it was paused comes back paused.
            consumer.resume(partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The rebalance that takes them away has made another generation of the group.
        self._note_member()
        try:
            self._hooks.on_revoke(_keys(partitions))
        finally:
            self._release(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        LOGGER.warning("lost %d partition(s) while %s", len(partitions), self._doing)
        self._release(consumer, partitions)
        self._hooks.on_lost(_keys(partitions))

    def _release(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._ownership.lose(_keys(partitions))
        consumer.incremental_unassign(partitions)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as exception:
            raise translate(error_of(exception), doing) from exception


def _keys(partitions: Sequence[TopicPartition]) -> frozenset[Partition]:
    return frozenset((one.topic, one.partition) for one in partitions)
