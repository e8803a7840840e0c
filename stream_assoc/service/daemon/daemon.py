"""The consumer loop: read, process, publish, and only then read on.

What makes a message count exactly once is the order of three commits:

1. the APDB transaction: sources, objects, ledger row and outbox;
2. the Kafka transaction: outputs, dead letters, the offsets of the inputs, and
   beside these the names of the batches that are published;
3. the outbox is cleared; the cache, which nothing depends on, is written after that.

A crash before 1 leaves nothing, and the message is read again. Between 1 and 2
the next owner of the partition publishes what is in the outbox. Between 2 and 3
the names beside the offset prove that it has been published (`outbox`).

A batch is published after those that changed the same sky before it, whichever
daemon processes them (`order`). However long that takes, the daemon stays a
member of its group (`membership`).
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.failpoints import failpoint
from stream_assoc.messaging.marks import KeptOffset, Partition, marks_of
from stream_assoc.pipeline.clock import Stopwatch, SystemClock
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.daemon.order import PendingAnswers, Step
from stream_assoc.service.daemon.outbox import Outbox
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.service.daemon.watched_handler import Handler
from stream_assoc.service.exceptions import MicroBatchAbandonedError
from stream_assoc.service.ports import StreamEnds

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

FIRST_WAIT_SECONDS: Final = 0.005
MAX_WAIT_SECONDS: Final = 0.2
"""Between two looks whether other daemons have published the predecessors."""

PATIENT_WAITS: Final = 10
"""After so many looks, about a second, it may take long, and the predecessors may have become ours."""


@dataclass(frozen=True, slots=True)
class MicroBatchLimits:
    """How large a micro-batch may be.

    Attributes
    ----------
    messages : `int`
        Messages that share one APDB and one Kafka transaction.
    bytes : `int`
        Their payload together; a larger message is alone in its micro-batch.
    poll_seconds : `float`
        How long to wait for the first.
    """

    messages: int = 64
    bytes: int = 16 * 1024 * 1024
    poll_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class DaemonHooks:
    """Who is told how a daemon goes on.

    Attributes
    ----------
    on_poll : callable
        Called after every poll, from the daemon's thread, with the messages it brought.
    in_hand : callable
        Makes the block in which a micro-batch is processed.
    before_work : callable
        Called with the partitions before what waits for them is looked through, and before work on the APDB is
        tried again. It raises where the APDB must not be worked on.
    """

    on_poll: Callable[[Sequence[InputMessage]], None] = lambda messages: None
    in_hand: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    before_work: Callable[[Collection[Partition]], None] = lambda partitions: None


class Daemon:
    """Reads batches until asked to stop; each counts exactly once.

    Parameters
    ----------
    ends : `StreamEnds`
        Where batches come from, and where outputs go.
    handler : `Handler`
        Processes them.
    outbox : `Outbox`
        Keeps the outputs until they are published.
    retry_loop : `RetryLoop`
        Retries while a service is away, and keeps the membership of the group.
    limits : `MicroBatchLimits`
        How large a micro-batch may be.
    hooks : `DaemonHooks`, optional
        Who is told how it goes on; by default nobody.
    """

    def __init__(
        self,
        ends: StreamEnds,
        handler: Handler,
        outbox: Outbox,
        retry_loop: RetryLoop,
        limits: MicroBatchLimits,
        hooks: DaemonHooks | None = None,
    ) -> None:
        self._source = ends.source
        self._publisher = ends.publisher
        self._handler = handler
        self._outbox = outbox
        self._retry_loop = retry_loop
        self._limits = limits
        self._hooks = hooks or DaemonHooks()
        self._membership = retry_loop.membership

    def run(self, stop: StopRequest) -> None:
        """Process messages until asked to stop; then finish the micro-batch.

        Raises
        ------
        FatalError
            If nothing can be processed until someone intervenes.
        """
        # Without a micro-batch, work is abandoned only because the daemon stops.
        with contextlib.suppress(MicroBatchAbandonedError):
            while not stop.is_set():
                self.process_next()

    def process_next(self) -> None:
        """Poll once and process what it brings in micro-batches; if one is abandoned, read again from there on."""
        messages = self._retry_loop.until_done(
            lambda: self._source.poll(self._limits.messages, self._limits.poll_seconds), []
        )
        self._hooks.on_poll(messages)
        self._settle_if_due()
        done = 0
        for micro_batch in micro_batches(messages, self._limits.bytes):
            with self._membership.at_work(self._source), self._hooks.in_hand():
                left = self._process_micro_batch(micro_batch)
            if left is not None:
                # A commit may have gone through without an answer: find out what is published before reading again.
                self._outbox.forget()
                self._settle_if_due()
                after = [message.position for message in messages[done + len(micro_batch) :]]
                self._retry_loop.read_again([*left, *after])
                return
            done += len(micro_batch)

    def _settle_if_due(self) -> None:
        if self._outbox.is_due:
            with self._membership.at_work(self._source):
                self._retry_loop.until_done(self._settle, [])

    def _settle(self) -> None:
        self._hooks.before_work(self._source.assignments)
        self._outbox.settle()

    def _looking_again(self, action: Callable[[], Result]) -> Callable[[], Result]:
        """Return an action on the APDB that looks first when it is tried again.

        The APDB was away then, and may have come back without all that it had.
        """
        is_first = True

        def act() -> Result:
            nonlocal is_first
            if not is_first:
                self._hooks.before_work(self._source.assignments)
            is_first = False
            return action()

        return act

    def _process_micro_batch(self, micro_batch: Sequence[InputMessage]) -> list[InputPosition] | None:
        """Process and publish these messages; if they are abandoned, return those that are not done."""
        first, positions = micro_batch[0].position, [message.position for message in micro_batch]
        pending: PendingAnswers | None = None
        watch = Stopwatch(SystemClock())
        # Every line about this micro-batch, from whatever module, carries its name.
        with structlog.contextvars.bound_contextvars(
            micro_batch=f"{first.topic}[{first.partition}]@{first.offset}", messages=len(micro_batch)
        ):
            try:
                failpoint("after-poll")
                answers = self._retry_loop.until_done(
                    self._looking_again(lambda: self._handler.answer(micro_batch)), positions
                )
                failpoint("before-publish")
                pending = PendingAnswers(answers)
                self._publish(pending, watch)
            except MicroBatchAbandonedError as error:
                log.warning("micro-batch abandoned", error=str(error))
                return positions if pending is None else pending.positions
            # Subscribers have the outputs: what is not cached is rebuilt when it is needed.
            try:
                self._handler.finish(watch.seconds)
            except RetriableError as error:
                self._retry_loop.go_on_without(error)
            return None

    def _publish(self, pending: PendingAnswers, watch: Stopwatch) -> None:
        """Publish the answers in as many transactions as it takes for each to come after its predecessors."""
        assignments = self._source.assignments
        waits = 0
        while pending:
            unpublished = self._unpublished(pending)
            step = pending.next_step(unpublished)
            if step:
                with watch.stage("publish"):
                    self._retry_loop.until_done(self._publication(pending, step, assignments), pending.positions)
                failpoint("after-publish")
                pending.done(step)
                # Before any other transaction of their partitions, whose marks would no longer name them.
                with watch.stage("clear_outbox"):
                    clear = functools.partial(self._outbox.clear, step.keys)
                    self._retry_loop.until_done(self._looking_again(clear), [])
                failpoint("after-mark-published")
                waits = 0
            else:
                with watch.stage("wait_for_others"):
                    self._wait_for_others(pending, unpublished, waits)
                waits += 1

    def _unpublished(self, pending: PendingAnswers) -> frozenset[BatchRevision]:
        awaited = pending.awaited
        if not awaited:
            return frozenset()
        look = self._looking_again(lambda: self._outbox.still_waiting(awaited))
        return self._retry_loop.until_done(look, pending.positions)

    def _publication(
        self, pending: PendingAnswers, step: Step, assignments: Mapping[Partition, int]
    ) -> Callable[[], None]:
        """Return what publishes this step: the same transaction, however often it is tried."""
        messages = [output for answer in (*step.batches, *step.others) for output in answer.outputs]
        published = [(_partition_of(answer), answer.batch) for answer in step.batches if answer.batch is not None]
        touched = {partition for partition, _ in published} | {(one.topic, one.partition) for one in step.consumed}
        kept = {
            (one.topic, one.partition): KeptOffset(one.offset, assignments.get((one.topic, one.partition), 0))
            for one in reversed(pending.positions)
            if (one.topic, one.partition) in touched
        }
        marks = marks_of(self._outbox.names.identity, published, kept)
        return lambda: self._publisher.publish(messages, step.consumed, marks)

    def _wait_for_others(self, pending: PendingAnswers, unpublished: Collection[BatchRevision], waits: int) -> None:
        """Wait until others have published the predecessors; publish them here if they have become ours."""
        if waits == PATIENT_WAITS:
            log.info("waiting for other daemons to publish", batches=[tuple(one) for one in sorted(unpublished)[:5]])
        if waits and waits % PATIENT_WAITS == 0:
            # Theirs may be the partitions that a rebalance brings; it must not wait for this micro-batch.
            self._membership.let_go()
            keys = pending.keys
            self._retry_loop.until_done(lambda: self._outbox.settle(keys), pending.positions)
        seconds = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(waits, 10))
        self._retry_loop.wait_for_others(seconds, pending.positions)


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
