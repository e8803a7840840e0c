"""Which messages are replayed, when, in which order and in which state: functions from iterator to iterator.

Each draws from a random generator of its own, seeded with the seed and its
name: dropping messages does not change which others come late.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from stream_assoc.tools.replay.damage import damaged
from stream_assoc.tools.replay.steps import Step

Event = TypeVar("Event")

REDELIVERY_WINDOW: Final = 20
"""A copy comes at most so many messages after its original."""

SECONDS_PER_DAY: Final = 86_400.0


def limited(events: Iterable[Event], n_messages: int) -> Iterator[Event]:
    """Give the first ``n_messages``."""
    return itertools.islice(events, n_messages)


def shuffled(events: Iterable[Event], seed: int) -> Iterator[Event]:
    """Give the messages in a random order, the same for the same seed.

    All of them are held in memory.
    """
    pool = list(events)
    random.Random(seed).shuffle(pool)
    return iter(pool)


def duplicated(steps: Iterable[Step], copies: float, seed: int) -> Iterator[Step]:
    """Give some messages more than once, as a producer that retries would.

    Parameters
    ----------
    steps : iterable of `Step`
    copies : `float`
        Expected number of copies of each message: 0.1 repeats every tenth, 2
        sends each three times.
    seed : `int`
        The same seed chooses the same copies.

    Yields
    ------
    step : `Step`
        The originals in their order; each copy up to `REDELIVERY_WINDOW`
        originals after its own, with its own time.
    """
    draw = random.Random(f"{seed} duplicate")
    whole, chance = int(copies), copies - int(copies)
    waiting: list[tuple[int, int, Step]] = []
    tickets = itertools.count()
    for position, step in enumerate(steps):
        yield step
        for _ in range(whole + (draw.random() < chance)):
            copy = replace(step, is_copy=True)
            heapq.heappush(waiting, (position + draw.randrange(REDELIVERY_WINDOW + 1), next(tickets), copy))
        while waiting and waiting[0][0] <= position:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def dropped(steps: Iterable[Step], fraction: float, seed: int) -> Iterator[Step]:
    """Mark that fraction of the messages as not to be sent: a detector that failed, a producer that gave up.

    A message and its copies share their lot.
    """
    return _marked(steps, fraction, f"{seed} drop", lambda step, _: replace(step, is_dropped=True))


def corrupted(steps: Iterable[Step], fraction: float, seed: int) -> Iterator[Step]:
    """Spoil that fraction of the messages so that none can be decoded. See `damaged`.

    A message and its copies are spoilt in the same way.
    """

    def spoilt(step: Step, draw: random.Random) -> Step:
        message = step.message._replace(value=damaged(step.message.value or b"", draw))
        return replace(step, message=message, is_damaged=True)

    return _marked(steps, fraction, f"{seed} corrupt", spoilt)


def late(steps: Iterable[Step], fraction: float, by_seconds: float, seed: int) -> Iterator[Step]:
    """Hold that fraction of the messages back, each up to ``by_seconds`` of the sky's time.

    Others overtake those, whatever the pace of the replay; at the end all come.
    """
    draw = random.Random(f"{seed} late")
    waiting: list[tuple[float, int, Step]] = []
    tickets = itertools.count()
    now = float("-inf")
    for step in steps:
        now = max(now, step.midpointMjdTai)
        while waiting and waiting[0][0] <= now:
            yield heapq.heappop(waiting)[2]
        is_late, delay_days = draw.random() < fraction, draw.random() * by_seconds / SECONDS_PER_DAY
        if is_late:
            held = replace(step, midpointMjdTai=now + delay_days, is_late=True)
            heapq.heappush(waiting, (held.midpointMjdTai, next(tickets), held))
        else:
            yield step
    while waiting:
        yield heapq.heappop(waiting)[2]


def _marked(
    steps: Iterable[Step], fraction: float, name: str, mark: Callable[[Step, random.Random], Step]
) -> Iterator[Step]:
    """Mark a fraction of the messages, chosen by their positions in the file."""
    for step in steps:
        draw = random.Random(f"{name} {step.position}")
        yield mark(step, draw) if draw.random() < fraction else step
