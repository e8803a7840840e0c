"""Outputs to Kafka, in one transaction with the input offsets."""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import OutputMessage, PlacedMessage
from stream_assoc.exceptions import FatalError
from stream_assoc.failpoints import failpoint
from stream_assoc.messaging.exceptions import PublishError, StreamError
from stream_assoc.messaging.kafka.client import (
    DEFAULT_MAX_MESSAGE_BYTES,
    LOGGER,
    Options,
    transactional_options,
    within,
)
from stream_assoc.messaging.kafka.errors import (
    CallOverdueError,
    KafkaClientError,
    ProducerFencedError,
    PublishInDoubtError,
    describe,
    error_of,
    translate,
)
from stream_assoc.messaging.kafka.leader_epochs import NO_EPOCH
from stream_assoc.messaging.kafka.ownership import Claim
from stream_assoc.messaging.kafka.plain_producer import enqueue
from stream_assoc.messaging.marks import NO_MARKS, KeptOffset, Marks, Partition, Standing

INIT_TIMEOUT_SECONDS: Final = 30.0
"""For taking over the transactional id: the broker first ends what its last user left open."""

INIT_STEP_SECONDS: Final = 2.0
"""How often it is looked meanwhile whether the broker refuses this client."""

INIT_PAUSE_SECONDS: Final = 0.1
"""Before it is tried again: some refusals come at once."""

COMMIT_TIMEOUT_SECONDS: Final = 45.0
"""For sending all messages and committing: less than the 60 s after which the broker aborts by itself."""

OFFSETS_TIMEOUT_SECONDS: Final = 8.0
"""For sending offsets, which takes some milliseconds; trying again with another producer costs little."""

OFFSETS_GRACE_SECONDS: Final = 2.0
"""For the client library to notice that this time is over. It does not always: what it waits for is a
change in the state of a connection, and a broker that is back again may never give it one
(https://github.com/confluentinc/librdkafka/issues/5456)."""

ABORT_TIMEOUT_SECONDS: Final = 10.0
"""For an orderly abort; after that the producer is replaced, which aborts as well."""

REPLACEABLE: Final[type[StreamError]] = KafkaClientError
"""A client that gave up: the next call makes a new one."""

KEPT_AFTER: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
"""Refusals of the group, which say nothing against the producer. After anything else it may be useless
without saying so: the client library calls an expired transactional id or an unknown producer id an error
of the one transaction, aborts that in good order, and meets the same in every later one."""

TRANSACTION_TIMEOUT_MS: Final = 60_000
"""librdkafka's default: the broker aborts what is open for longer, and fences off who opened it."""


_NAME_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A transaction: what was asked for, of which partitions offsets are committed, and its name."""

    request: object = None
    partitions: tuple[Partition, ...] = ()
    name: str = ""


class GroupMember(Protocol):
    """What a transaction needs of the consumer whose offsets it commits; `KafkaSource` is one."""

    def claim(self, consumed: Sequence[InputPosition], kept: Mapping[Partition, KeptOffset]) -> Claim:
        """Return what commits these messages as done, as this very member.

        Raises
        ------
        PartitionLostError
            If any of them is no longer this member's.
        """

    def standings(self, partitions: Collection[Partition]) -> dict[Partition, Standing]:
        """Return what the group has committed of each partition; the answer is final."""


class KafkaPublisher:
    """Publishes outputs and commits the offsets of their inputs, all or nothing.

    Make it before the source is first polled: taking over the transactional id
    ends a transaction that a crash left open, and until then the group's
    offsets cannot be read.

    Parameters
    ----------
    options : `Mapping`
        librdkafka's options by their own names, ``bootstrap.servers`` among them.
    source : `GroupMember`
        Whose messages are consumed; used from the same thread.
    transactional_id : `str`
        One of its own for each running daemon, kept over restarts: the newest
        user of an id fences off the others.
    max_message_bytes : `int`
        Largest message to be published.

    Raises
    ------
    KafkaUnavailableError
        If no broker lets the transactional id be taken over in time.
    KafkaConfigurationError
        If an option is wrong or a permission is missing.
    """

    def __init__(
        self,
        options: Options,
        source: GroupMember,
        *,
        transactional_id: str,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self._options = transactional_options(options, transactional_id, max_message_bytes)
        self._doing = f"publishing as {transactional_id}"
        self._source = source
        self._under_way = self._doubt = _Attempt()
        self._begun_at = 0.0
        self._delivery_error: KafkaError | None = None
        self._refusal: StreamError | None = None
        self._producer: Producer | None = self._take_over()

    def publish(
        self,
        messages: Sequence[OutputMessage | PlacedMessage],
        consumed: Sequence[InputPosition],
        marks: Marks = NO_MARKS,
    ) -> None:
        """Publish the messages, commit the input offsets and note the marks beside them, all or nothing.

        The text noted with an offset holds a name that no other transaction
        has, so that one whose end is in doubt is known again.

        Raises
        ------
        PublishError
            If the transaction was aborted: nothing was published, nothing committed.
        PublishInDoubtError
            If the broker went away during the commit. Publish the same again.
        PartitionLostError
            If a consumed message is not ours any more; nothing was published.
        ProducerFencedError
            If another daemon runs under the same transactional id.
        KafkaConfigurationError, OutputTooLargeError
            If the cluster will go on refusing these messages.
        """
        if self._producer is None:
            self._producer = self._take_over()
        claim = self._source.claim(consumed, marks.kept)
        request = (tuple(consumed), marks)
        if self._doubt.request == request and self._is_committed(self._doubt):
            return
        self._doubt = _Attempt()
        self._under_way = _Attempt(request, tuple(claim.offsets), uuid.uuid4().hex[:_NAME_LENGTH])
        self._send(self._producer, messages, self._noted(claim, marks))
        failpoint("in-kafka-transaction")
        self._commit(self._producer)

    def close(self) -> None:
        """Release the connection; a transaction is never left open between calls."""
        self._discard()

    def _take_over(self) -> Producer:
        deadline = time.monotonic() + INIT_TIMEOUT_SECONDS
        self._refusal = None
        try:
            producer = Producer({**self._options, "error_cb": self._note_refusal})
            while not self._is_taken_over(producer, deadline):
                # Waiting knows only that it takes long; why is told to the callback, which runs when polled.
                producer.poll(INIT_PAUSE_SECONDS)
                if self._refusal is not None:
                    raise self._refusal
        except KafkaException as exception:
            raise translate(error_of(exception), self._doing) from exception
        return producer

    def _is_taken_over(self, producer: Producer, deadline: float) -> bool:
        """Try for a while; return `False` if it is worth while to go on."""
        try:
            producer.init_transactions(INIT_STEP_SECONDS)
        except KafkaException as exception:
            error = error_of(exception)
            # Such as a coordinator that is still loading what it knows of transactions.
            may_pass = error.code() == KafkaError._TIMED_OUT or error.retriable()
            if not may_pass or time.monotonic() > deadline:
                raise
            return False
        return True

    def _note_refusal(self, error: KafkaError) -> None:
        refusal = translate(error, self._doing)
        if isinstance(refusal, FatalError):
            self._refusal = refusal

    def _is_committed(self, attempt: "_Attempt") -> bool:
        """Tell whether a transaction was committed after all.

        It has ended one way or the other: a producer of the same id took over since.
        """
        standings = self._source.standings(attempt.partitions)
        return any(attempt.name in one.note.split(" ") for one in standings.values())

    def _noted(self, claim: Claim, marks: Marks) -> Claim:
        """Return the claim with what is to be noted beside the offset of each partition."""
        name, notes = self._under_way.name, claim.notes
        words = {one: (notes.get(one, ""), name, marks.texts.get(one, "")) for one in claim.offsets}
        return replace(claim, notes={one: " ".join(filter(None, of_one)) for one, of_one in words.items()})

    def _send(self, producer: Producer, messages: Sequence[OutputMessage | PlacedMessage], claim: Claim) -> None:
        self._delivery_error = None
        self._begun_at = time.monotonic()
        try:
            producer.begin_transaction()
            for message in messages:
                enqueue(producer, message, self._note_delivery)
            if claim.offsets:
                offsets = [
                    TopicPartition(*partition, offset, claim.notes[partition], claim.epochs.get(partition, NO_EPOCH))
                    for partition, offset in claim.offsets.items()
                ]
                within(
                    OFFSETS_TIMEOUT_SECONDS + OFFSETS_GRACE_SECONDS,
                    lambda: producer.send_offsets_to_transaction(offsets, claim.member, OFFSETS_TIMEOUT_SECONDS),
                )
        except KafkaException as exception:
            raise self._aborted(producer, error_of(exception)) from exception
        except CallOverdueError as error:
            # Who takes over its id aborts the transaction, and whatever this producer still sends is refused.
            self._discard()
            raise PublishError(f"{self._doing}: sending offsets: {error}") from error

    def _commit(self, producer: Producer) -> None:
        deadline = time.monotonic() + COMMIT_TIMEOUT_SECONDS
        while True:
            try:
                producer.commit_transaction(max(0.0, deadline - time.monotonic()))
            except KafkaException as exception:
                error = error_of(exception)
                if error.txn_requires_abort():
                    raise self._aborted(producer, error) from exception
                if error.retriable() and time.monotonic() < deadline:
                    continue
                raise self._doubtful(error) from exception
            return

    def _aborted(self, producer: Producer, error: KafkaError) -> StreamError:
        """Abort the transaction, and return what to raise for it."""
        try:
            if not error.fatal():
                producer.abort_transaction(ABORT_TIMEOUT_SECONDS)
            if error.code() not in KEPT_AFTER:
                self._discard()
        except KafkaException as exception:
            LOGGER.warning("%s: no orderly abort: %s", self._doing, describe(error_of(exception)))
            self._discard()
        # What made a delivery fail tells more than that the transaction did.
        return self._publish_error(self._delivery_error or error)

    def _doubtful(self, error: KafkaError) -> StreamError:
        """Give up on a commit whose outcome is unknown, and return what to raise for it."""
        self._discard()
        self._doubt = self._under_way
        failure = self._publish_error(error)
        return failure if isinstance(failure, FatalError) else PublishInDoubtError(str(failure))

    def _publish_error(self, error: KafkaError) -> StreamError:
        failure = translate(error, self._doing)
        if isinstance(failure, ProducerFencedError) and self._is_overdue():
            return PublishError(f"{self._doing}: the transaction was open for longer than transaction.timeout.ms")
        if isinstance(failure, FatalError) and not isinstance(failure, REPLACEABLE):
            return failure
        return PublishError(str(failure))

    def _is_overdue(self) -> bool:
        """Tell whether the broker has ended the transaction by itself, and so has fenced off nobody but us."""
        limit_ms = float(self._options.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS))
        return time.monotonic() - self._begun_at >= limit_ms / 1000.0

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            # Its own close() would wait for a broker that may be away.
            producer.purge()

    def _note_delivery(self, error: KafkaError | None, message: Message) -> None:
        # Messages that went down with the one that failed are reported as purged.
        if error is not None and error.code() not in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._delivery_error = self._delivery_error or error
