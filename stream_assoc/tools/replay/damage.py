"""Damage that no reader can overlook: what is spoilt here must come out as a dead letter, never as a batch."""

import random
from collections.abc import Callable
from typing import Final

from stream_assoc.messaging.avro.wire import HEADER_BYTES, MAGIC


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
