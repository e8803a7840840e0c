"""Which messages are replayed, and in which order: functions from iterator to iterator."""

import heapq
import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Final

from stream_assoc.replay.messages import TimedMessage

REDELIVERY_WINDOW: Final = 20
"""A copy comes at most so many messages after its original."""


def limited(events: Iterable[TimedMessage], n_messages: int) -> Iterator[TimedMessage]:
    """Give the first ``n_messages``."""
    return itertools.islice(events, n_messages)


def shuffled(events: Iterable[TimedMessage], seed: int) -> Iterator[TimedMessage]:
    """Give the messages in a random order, the same for the same seed.

    All of them are held in memory.
    """
    pool = list(events)
    random.Random(seed).shuffle(pool)
    return iter(pool)


def duplicated(events: Iterable[TimedMessage], copies: float, seed: int) -> Iterator[TimedMessage]:
    """Give some messages more than once, as a producer that retries would.

    Parameters
    ----------
    events : iterable of `TimedMessage`
    copies : `float`
        Expected number of copies of each message: 0.1 repeats every tenth, 2
        sends each three times.
    seed : `int`
        The same seed chooses the same copies.

    Yields
    ------
    event : `TimedMessage`
        The originals in their order; each copy up to `REDELIVERY_WINDOW`
        originals after its own, with its own time.
    """
    draw = random.Random(seed)
    whole, chance = int(copies), copies - int(copies)
    waiting: list[tuple[int, int, TimedMessage]] = []
    tickets = itertools.count()
    for position, event in enumerate(events):
        yield event
        for _ in range(whole + (draw.random() < chance)):
            heapq.heappush(waiting, (position + draw.randrange(REDELIVERY_WINDOW + 1), next(tickets), event))
        while waiting and waiting[0][0] <= position:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
