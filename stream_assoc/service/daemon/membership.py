"""Staying a member of the group while work takes long.

Kafka takes a member that does not poll within ``max.poll.interval.ms`` for
dead and gives its partitions away. The thread of the daemon polls only between
two micro-batches, so while it works another thread looks on. If the work takes longer
than a fraction of that interval, the other thread pauses the partitions and
polls in its stead until the work is done.

Polling is also how a member learns that it has to give partitions up. Then the
other thread holds the revocation back until the micro-batch is done, and committed,
so that nobody has to do it again. It waits half the interval at most: a member
that takes longer is expelled. It stops waiting as soon as the work fails: a
thread that waits for a service to come back pauses and polls too, and until the
revocation is over the client library admits no other thread. The micro-batch
then belongs to another member; this daemon neither publishes nor commits it.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

import structlog

from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.service.ports import MessageSource

log = structlog.get_logger(__name__)

BUSY_FRACTION: Final = 0.2
"""Of the longest allowed time between two polls: work that takes longer is watched over."""

MAX_BUSY_SECONDS: Final = 3.0
"""At most that long, because nobody else in the group gets a partition as long as nobody polls here."""

HOLD_FRACTION: Final = 0.5
"""Of the same interval: how long a revocation is held back for a micro-batch to be finished."""

KEEP_SECONDS: Final = 0.2
"""Between two polls."""


class MembershipKeeper:
    """Polls a source in the stead of a thread that works.

    The source calls `hold_back` before it gives partitions up.
    """

    def __init__(self) -> None:
        self._keeping = threading.local()
        self._over = threading.Event()

    @contextlib.contextmanager
    def at_work(self, source: MessageSource) -> Iterator[None]:
        """Keep the source's membership for the length of the block."""
        done, self._over = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._keep, args=(source, done, self._over), name="membership", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.let_go()
            done.set()
            thread.join()

    def let_go(self) -> None:
        """Hold no revocation back for the rest of the block: the work will not be finished soon."""
        self._over.set()

    def _keep(self, source: MessageSource, done: threading.Event, over: threading.Event) -> None:
        if done.wait(min(MAX_BUSY_SECONDS, BUSY_FRACTION * source.max_poll_interval_seconds)):
            return
        self._keeping.until = over
        self._keeping.seconds = HOLD_FRACTION * source.max_poll_interval_seconds
        try:
            source.pause()
            try:
                while not done.wait(KEEP_SECONDS):
                    # One poll that does not wait: while it waited, nobody else could use the client library.
                    source.idle(0.0)
            finally:
                source.resume()
        except StreamError as error:
            # The thread at work meets the same when it polls.
            log.warning("membership not kept", error=str(error))

    def hold_back(self, partitions: frozenset[tuple[str, int]]) -> None:
        """Wait until the work is finished, unless the thread that works polls itself."""
        over: threading.Event | None = getattr(self._keeping, "until", None)
        if over is not None and not over.wait(self._keeping.seconds):
            log.warning("micro-batch not finished before its partitions are given up", partitions=len(partitions))
