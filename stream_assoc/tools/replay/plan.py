"""The steps of a replay: which messages, in which order, under which key and in which state.

Every function takes an iterator and returns one. Each draws from a random
generator of its own, seeded with the seed and its name: dropping messages does not change which others come late.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeVar

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.times import SECONDS_PER_DAY
from stream_assoc.messaging.avro.batch_header import batch_prefix
from stream_assoc.messaging.avro.wire import HEADER_BYTES, MAGIC, WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.messages import TimedMessage


@dataclass(frozen=True, slots=True)
class Step:
    """One message to be sent, or left out.

    Attributes
    ----------
    position : `int`
        Of the message in its file; 0 is the first.
    message : `OutputMessage`
        As it is sent.
    midpointMjdTai : `float`
        When it would be sent at the pace of the sky, MJD TAI: when it was
        observed, or later.
    is_copy, is_late, is_damaged, is_dropped : `bool`
        Sent before, held back, spoilt on purpose, not sent at all.
    """

    position: int
    message: OutputMessage
    midpointMjdTai: float
    is_copy: bool = False
    is_late: bool = False
    is_damaged: bool = False
    is_dropped: bool = False


def steps_of(events: Iterable[TimedMessage]) -> Iterator[Step]:
    """Give each message one step, in their order."""
    for position, event in enumerate(events):
        yield Step(position, event.message, event.midpointMjdTai)


Keying: TypeAlias = Literal["file", "detector", "visit", "none"]
"""As in the file (by default a coarse piece of sky), one each visit and detector, one each visit, or no key."""


def keyed(steps: Iterable[Step], keying: Keying, schemas: WriterSchemas | None = None) -> Iterator[Step]:
    """Give messages other keys.

    With ``"detector"`` the overlapping detectors of a visit meet in different
    partitions, so that several daemons work on them at the same time.

    Raises
    ------
    ReplayError
        If a message is no batch.
    """
    if keying == "file":
        return iter(steps)
    return (replace(step, message=step.message._replace(key=_key(step, keying, schemas))) for step in steps)


def _key(step: Step, keying: Keying, schemas: WriterSchemas | None) -> bytes | None:
    if keying == "none":
        return None
    try:
        visit, detector = batch_prefix(step.message.value, schemas).id
    except DecodeError as error:
        raise ReplayError(f"message {step.position} has no visit to be keyed by: {error}; use --key file") from error
    return f"{visit}".encode() if keying == "visit" else f"{visit}.{detector}".encode()


def _cut(value: bytes, draw: random.Random) -> bytes:
    """Cut a message short within its datum."""
    return value[: draw.randrange(HEADER_BYTES, len(value))]


def _lengthened(value: bytes, draw: random.Random) -> bytes:
    """Give a message bytes to spare."""
    return value + draw.randbytes(draw.randint(1, 16))


def _misframed(value: bytes, draw: random.Random) -> bytes:
    """Take a message out of the wire format."""
    return bytes([draw.choice([byte for byte in range(256) if byte != MAGIC])]) + value[1:]


def _misnamed(value: bytes, draw: random.Random) -> bytes:
    """Put a message under a schema id that nobody has given."""
    return value[:1] + b"\xff" + draw.randbytes(HEADER_BYTES - 2) + value[HEADER_BYTES:]


DAMAGES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (_cut, _lengthened, _misframed, _misnamed)


def damaged(value: bytes, draw: random.Random) -> bytes:
    """Return a message spoilt in one of four ways: cut, lengthened, of another framing, of an unknown schema.

    A flipped bit is not among them: it may leave a valid batch with another
    flux, which no receiver can tell from a good one.

    Parameters
    ----------
    value : `bytes`
        A batch in the Confluent wire format.
    draw : `random.Random`
        Chooses.
    """
    if len(value) <= HEADER_BYTES:
        return b""
    return draw.choice(DAMAGES)(value, draw)


Event = TypeVar("Event")

REDELIVERY_WINDOW: Final = 20
"""A copy comes at most so many messages after its original."""


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
