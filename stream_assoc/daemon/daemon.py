"""The consumer loop: read, process, publish, and only then read on.

What makes a message count exactly once is the order of three commits:

1. the APDB transaction: sources, objects, ledger row and outbox;
2. the Kafka transaction: outputs, dead letters and the offsets of the inputs;
3. the outbox is cleared. Before that the cache is written, which nothing depends on.

A crash before 1 leaves nothing, and the message is read again. Between 1 and 2
the message is read again, found in the ledger, and the outbox gives the same
bytes to publish. Between 2 and 3 nothing is read again; the next start clears
the outbox.

However long that takes, the daemon stays a member of its group (`membership`).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from stream_assoc.apdb.port import Apdb
from stream_assoc.daemon.exceptions import HandAbandonedError
from stream_assoc.daemon.handler import Answer, MessageHandler
from stream_assoc.daemon.membership import MembershipKeeper
from stream_assoc.daemon.retry import Perseverance
from stream_assoc.daemon.stopping import StopRequest
from stream_assoc.exceptions import RetriableError
from stream_assoc.failpoints import failpoint
from stream_assoc.pipeline.clock import Stopwatch, SystemClock
from stream_assoc.stream.messages import InputMessage, StreamEnds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HandLimits:
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
    handler : `MessageHandler`
        What is done with them.
    apdb : `Apdb`
        Whose outbox is cleared.
    perseverance : `Perseverance`
        How services that are away are waited for.
    limits : `HandLimits`
        How much is taken in hand at once.
    on_poll : callable, optional
        Called after every poll, from this thread, with the messages it brought.
    """

    def __init__(
        self,
        ends: StreamEnds,
        handler: MessageHandler,
        apdb: Apdb,
        perseverance: Perseverance,
        limits: HandLimits,
        on_poll: Callable[[Sequence[InputMessage]], None] = lambda messages: None,
    ) -> None:
        self._source = ends.source
        self._publisher = ends.publisher
        self._handler = handler
        self._apdb = apdb
        self._perseverance = perseverance
        self._limits = limits
        self._on_poll = on_poll
        self._keeper = MembershipKeeper(ends.source)
        perseverance.on_failure = self._keeper.let_go

    def run(self, stop: StopRequest) -> None:
        """Process messages until asked to stop; then finish what is in hand.

        Raises
        ------
        FatalError
            If nothing can be processed until someone intervenes.
        """
        # What is abandoned with nothing in hand is abandoned because the daemon stops.
        with contextlib.suppress(HandAbandonedError):
            with self._keeper.at_work():
                self._perseverance.until_done(self.clear_outbox, [])
            while not stop.is_set():
                messages = self._perseverance.until_done(self._poll, [])
                self._on_poll(messages)
                self._take(messages)

    def _poll(self) -> list[InputMessage]:
        return self._source.poll(self._limits.messages, self._limits.poll_seconds)

    def _take(self, messages: Sequence[InputMessage]) -> None:
        done = 0
        for hand in hands(messages, self._limits.bytes):
            with self._keeper.at_work():
                is_finished = self._finish(hand)
                if not is_finished:
                    # A commit may have gone through unheard. What is published must be known before it is read again.
                    self._perseverance.until_done(self.clear_outbox, [])
            if not is_finished:
                self._read_again(messages[done:])
                return
            done += len(hand)

    def clear_outbox(self) -> int:
        """Forget outputs whose input offset is committed: subscribers have them.

        Returns
        -------
        n_left : `int`
            Entries that stay because their message will be read again.
        """
        kept = self._apdb.unpublished()
        positions = [entry.entry.position for entry in kept if entry.entry.position is not None]
        committed = self._source.committed({(position.topic, position.partition) for position in positions})
        published = [
            entry.entry.key
            for entry in kept
            if (position := entry.entry.position) is not None
            and committed.get((position.topic, position.partition), 0) > position.offset
        ]
        self._apdb.mark_published(published)
        if kept:
            log.info("outbox cleared", published=len(published), awaiting_redelivery=len(kept) - len(published))
        return len(kept) - len(published)

    def _finish(self, hand: Sequence[InputMessage]) -> bool:
        """Take these messages all the way; return whether that is done."""
        first = hand[0].position
        # So that every line about this hand, of whatever room, can be found together.
        with structlog.contextvars.bound_contextvars(
            hand=f"{first.topic}[{first.partition}]@{first.offset}", messages=len(hand)
        ):
            return self._finish_named(hand)

    def _finish_named(self, hand: Sequence[InputMessage]) -> bool:
        failpoint("after-poll")
        positions = [message.position for message in hand]
        watch = Stopwatch(SystemClock())
        try:
            answers = self._perseverance.until_done(lambda: self._handler.answer(hand), positions)
            failpoint("before-publish")
            with watch.stage("publish"):
                self._perseverance.until_done(lambda: self._publish(answers), positions)
            failpoint("after-publish")
        except HandAbandonedError as error:
            log.warning("hand abandoned", error=str(error))
            return False
        answered = [answer.batch for answer in answers if answer.batch is not None]
        # From here on the offsets are committed: what is not cached is rebuilt when it is needed, and
        # what stays in the outbox is cleared at the next start.
        try:
            self._handler.write_cache()
        except RetriableError as error:
            self._perseverance.go_on_without(error)
        with contextlib.suppress(HandAbandonedError), watch.stage("clear_outbox"):
            self._perseverance.until_done(lambda: self._apdb.mark_published(answered), [])
        failpoint("after-mark-published")
        self._handler.observe_hand(watch.seconds)
        return True

    def _read_again(self, messages: Sequence[InputMessage]) -> None:
        self._source.rewind([message.position for message in messages if self._source.owns(message.position)])

    def _publish(self, answers: Sequence[Answer]) -> None:
        outputs = [output for answer in answers for output in answer.outputs]
        self._publisher.publish(outputs, [answer.message.position for answer in answers])


def hands(messages: Sequence[InputMessage], max_bytes: int) -> Iterator[list[InputMessage]]:
    """Divide messages, in order, into runs of at most so many bytes; each has at least one message."""
    hand: list[InputMessage] = []
    size = 0
    for message in messages:
        length = len(message.value or b"")
        if hand and size + length > max_bytes:
            yield hand
            hand, size = [], 0
        hand.append(message)
        size += length
    if hand:
        yield hand
