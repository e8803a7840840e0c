"""The consumer loop: read, process, publish, and only then read on.

What makes a message count exactly once is the order of three commits:

1. the APDB transaction: sources, objects, ledger row and outbox;
2. the Kafka transaction: outputs, dead letters, the offsets of the inputs, and
   beside these the names of the batches that are published;
3. the outbox is cleared; the cache, which nothing depends on, is written after that.

A crash before 1 leaves nothing, and the message is read again. Between 1 and 2
whoever gets the partition publishes what is in the outbox. Between 2 and 3 the
names beside the offset tell that it has been published (`outbox`).

A batch is published after those that changed the same sky before it, whoever
has them in hand (`order`). However long that takes, the daemon stays a member of its group (`membership`).
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.failpoints import failpoint
from stream_assoc.messaging.marks import KeptOffset, Partition, Standing, marks_of
from stream_assoc.pipeline.clock import Stopwatch, SystemClock
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.order import Hand, Step
from stream_assoc.service.daemon.outbox import Outbox
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.service.daemon.watched_handler import Handler
from stream_assoc.service.exceptions import MicroBatchAbandonedError
from stream_assoc.service.ports import StreamEnds

log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS: Final = 0.005
MAX_WAIT_SECONDS: Final = 0.2
"""Between two looks whether other daemons have published what comes first."""

PATIENT_WAITS: Final = 10
"""After so many looks, about a second, it may take long, and what is waited for may have become ours."""


@dataclass(frozen=True, slots=True)
class MicroBatchLimits:
    """How much is taken in hand at once.

    Attributes
    ----------
    messages : `int`
        Messages that share one APDB and one Kafka transaction.
    bytes : `int`
        Their payload together; a message larger than that comes alone.
    poll_seconds : `float`
        How long to wait for the first.
    """

    messages: int = 64
    bytes: int = 16 * 1024 * 1024
    poll_seconds: float = 1.0


class Daemon:
    """Reads batches until told to stop; every one of them counts exactly once.

    Parameters
    ----------
    ends : `StreamEnds`
        Where batches come from, and where outputs go.
    handler : `Handler`
        What is done with them.
    outbox : `Outbox`
        Keeps the outputs until they are published.
    retry_loop : `RetryLoop`
        How services that are away are waited for.
    limits : `MicroBatchLimits`
        How much is taken in hand at once.
    on_poll : callable, optional
        Called after every poll, from this thread, with the messages it brought.
    """

    def __init__(
        self,
        ends: StreamEnds,
        handler: Handler,
        outbox: Outbox,
        retry_loop: RetryLoop,
        limits: MicroBatchLimits,
        on_poll: Callable[[Sequence[InputMessage]], None] = lambda messages: None,
    ) -> None:
        self._source = ends.source
        self._publisher = ends.publisher
        self._handler = handler
        self._outbox = outbox
        self._retry_loop = retry_loop
        self._limits = limits
        self._on_poll = on_poll
        self._keeper = MembershipKeeper(ends.source)
        retry_loop.on_failure = self._keeper.let_go

    def run(self, stop: StopRequest) -> None:
        """Process messages until asked to stop; then finish what is in hand.

        Raises
        ------
        FatalError
            If nothing can be processed until someone intervenes.
        """
        # What is abandoned with nothing in hand is abandoned because the daemon stops.
        with contextlib.suppress(MicroBatchAbandonedError):
            while not stop.is_set():
                messages = self._retry_loop.until_done(self._poll, [])
                self._on_poll(messages)
                self._take(messages)

    def _poll(self) -> list[InputMessage]:
        return self._source.poll(self._limits.messages, self._limits.poll_seconds)

    def _take(self, messages: Sequence[InputMessage]) -> None:
        self._settle_if_due()
        done = 0
        for micro_batch in micro_batches(messages, self._limits.bytes):
            with self._keeper.at_work():
                left = self._finish(micro_batch)
            if left is not None:
                # A commit may have gone through unheard. What is published must be known before it is read again.
                self._outbox.forget()
                self._settle_if_due()
                self._read_again([*left, *(message.position for message in messages[done + len(micro_batch) :])])
                return
            done += len(micro_batch)

    def _settle_if_due(self) -> None:
        if self._outbox.is_due:
            with self._keeper.at_work():
                self._retry_loop.until_done(self._outbox.settle, [])

    def _finish(self, micro_batch: Sequence[InputMessage]) -> list[InputPosition] | None:
        """Take these messages all the way; if they are abandoned on it, return those that are not done with."""
        first = micro_batch[0].position
        # So that every line about this micro-batch, of whatever room, can be found together.
        with structlog.contextvars.bound_contextvars(
            micro_batch=f"{first.topic}[{first.partition}]@{first.offset}", messages=len(micro_batch)
        ):
            return self._finish_named(micro_batch)

    def _finish_named(self, micro_batch: Sequence[InputMessage]) -> list[InputPosition] | None:
        failpoint("after-poll")
        positions = [message.position for message in micro_batch]
        watch = Stopwatch(SystemClock())
        try:
            answers = self._retry_loop.until_done(lambda: self._handler.answer(micro_batch), positions)
        except MicroBatchAbandonedError as error:
            log.warning("micro-batch abandoned", error=str(error))
            return positions
        failpoint("before-publish")
        answered = Hand(answers)
        try:
            self._publish(answered, watch)
        except MicroBatchAbandonedError as error:
            log.warning("micro-batch abandoned", error=str(error))
            return answered.positions
        # Subscribers have the outputs: what is not cached is rebuilt when it is needed.
        try:
            self._handler.write_cache()
        except RetriableError as error:
            self._retry_loop.go_on_without(error)
        self._handler.observe_micro_batch(watch.seconds)
        return None

    def _publish(self, micro_batch: Hand, watch: Stopwatch) -> None:
        """Publish the answers in as many transactions as it takes for each to come after its predecessors."""
        assignments = self._source.assignments
        waits = 0
        while micro_batch:
            unpublished = self._unpublished(micro_batch)
            step = micro_batch.next_step(unpublished)
            if step:
                with watch.stage("publish"):
                    self._retry_loop.until_done(
                        self._publication(micro_batch, step, assignments), micro_batch.positions
                    )
                failpoint("after-publish")
                micro_batch.done(step)
                # Before any other transaction of their partitions, whose marks would no longer name them.
                with watch.stage("clear_outbox"):
                    self._retry_loop.until_done(functools.partial(self._outbox.clear, step.keys), [])
                failpoint("after-mark-published")
                waits = 0
            else:
                with watch.stage("wait_for_others"):
                    self._wait_for_others(micro_batch, unpublished, waits)
                waits += 1

    def _unpublished(self, micro_batch: Hand) -> frozenset[BatchRevision]:
        awaited = micro_batch.awaited
        if not awaited:
            return frozenset()
        return self._retry_loop.until_done(lambda: self._outbox.still_waiting(awaited), micro_batch.positions)

    def _publication(self, micro_batch: Hand, step: Step, assignments: Mapping[Partition, int]) -> Callable[[], None]:
        """Return what publishes this step: the same transaction, however often it is tried."""
        messages = [output for answer in (*step.batches, *step.others) for output in answer.outputs]
        published = [(_partition_of(answer), answer.batch) for answer in step.batches if answer.batch is not None]
        touched = {partition for partition, _ in published} | {(one.topic, one.partition) for one in step.consumed}
        kept = {
            (one.topic, one.partition): KeptOffset(one.offset, assignments.get((one.topic, one.partition), 0))
            for one in reversed(micro_batch.positions)
            if (one.topic, one.partition) in touched
        }
        marks = marks_of(self._outbox.names.identity, published, kept)
        return lambda: self._publisher.publish(messages, step.consumed, marks)

    def _wait_for_others(self, micro_batch: Hand, unpublished: Collection[BatchRevision], waits: int) -> None:
        """Let others publish what comes first, or do it if it has become ours."""
        if waits == PATIENT_WAITS:
            log.info("waiting for other daemons to publish", batches=[tuple(one) for one in sorted(unpublished)[:5]])
        if waits and waits % PATIENT_WAITS == 0:
            # Theirs may be the partitions that a rebalance brings; it must not wait for this micro-batch.
            self._keeper.let_go()
            in_hand = micro_batch.keys
            self._retry_loop.until_done(lambda: self._outbox.settle(in_hand), micro_batch.positions)
        seconds = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(waits, 10))
        self._retry_loop.wait_for_others(seconds, micro_batch.positions)

    def _read_again(self, positions: Sequence[InputPosition]) -> None:
        """Go back to what is not done with; a commit that was not answered may have counted."""
        ours = [position for position in positions if self._source.owns(position)]
        standings = self._retry_loop.until_done(
            lambda: self._source.standings({(one.topic, one.partition) for one in ours}), []
        )
        nowhere = Standing(0)
        self._source.rewind(
            [one for one in ours if one.offset >= standings.get((one.topic, one.partition), nowhere).offset]
        )


def _partition_of(answer: Answer) -> Partition:
    return answer.message.position.topic, answer.message.position.partition


def micro_batches(messages: Sequence[InputMessage], max_bytes: int) -> Iterator[list[InputMessage]]:
    """Divide messages, in order, into runs of at most so many bytes; each has at least one message."""
    micro_batch: list[InputMessage] = []
    size = 0
    for message in messages:
        length = len(message.value or b"")
        if micro_batch and size + length > max_bytes:
            yield micro_batch
            micro_batch, size = [], 0
        micro_batch.append(message)
        size += length
    if micro_batch:
        yield micro_batch
