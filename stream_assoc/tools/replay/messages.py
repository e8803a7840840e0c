"""Batches as timed messages, and the headers that a recorded replay gives them.

The headers say which run and step a message belongs to and when it was due.
They let what arrived be compared with what was meant, and latency be counted
from when a message was due rather than from when a slow producer sent it.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import Headers, OutputMessage
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder

KEY_LEVEL: Final = 5
"""HTM level of a message's key: trixels of about 3 degrees, a pointing or so."""


@dataclass(frozen=True, slots=True)
class TimedMessage:
    """A message, and when what it tells of was observed (MJD TAI)."""

    midpointMjdTai: float
    message: OutputMessage


def sky_key(footprint: FloatArray) -> bytes:
    """Return the key of a batch's message: the coarse trixel of its centre, as decimal text.

    Neighbours on the sky tend to share it, and so a partition and a consumer.
    Nothing depends on it but speed.

    Parameters
    ----------
    footprint : `numpy.ndarray` [float64], shape (k, 2)
        Vertices (ra, dec), degrees.
    """
    ra, dec = to_radec(unit_vectors(footprint[:, 0], footprint[:, 1]).mean(axis=0, keepdims=True))
    return str(int(htm_index(ra, dec, KEY_LEVEL)[0])).encode()


@dataclass(frozen=True, slots=True)
class BatchMessages:
    """Makes messages of batches.

    Attributes
    ----------
    topic : `str`
        Where they are to be sent.
    encoder : `~stream_assoc.messaging.avro.batch_encoder.BatchEncoder`
    """

    topic: str
    encoder: BatchEncoder = field(default_factory=BatchEncoder)

    def event(self, batch: Batch) -> TimedMessage:
        """Return the message of a batch."""
        value = self.encoder.encode(batch)
        return TimedMessage(batch.midpointMjdTai, OutputMessage(self.topic, sky_key(batch.footprint), value))


RUN_HEADER: Final = "replay.run"
STEP_HEADER: Final = "replay.step"
DUE_HEADER: Final = "replay.due"


class Stamp(NamedTuple):
    """What the headers say.

    Attributes
    ----------
    run : `str`
        Name of the run.
    step : `int`
        Number of the step, 0 first; dropped messages are counted too.
    due : `float`
        When the message was due, seconds since 1970 UTC.
    """

    run: str
    step: int
    due: float


def stamped(message: OutputMessage, stamp: Stamp) -> OutputMessage:
    """Return a message with a stamp, in the place of any it had."""
    headers = (
        *unstamped_headers(message.headers),
        (RUN_HEADER, stamp.run.encode()),
        (STEP_HEADER, str(stamp.step).encode()),
        (DUE_HEADER, f"{stamp.due:.6f}".encode()),
    )
    return message._replace(headers=headers)


def stamp_of(headers: Headers) -> Stamp | None:
    """Return the stamp of a message that was read; `None` where there is none, or one that cannot be."""
    found = dict(headers)
    try:
        return Stamp(found[RUN_HEADER].decode(), int(found[STEP_HEADER]), float(found[DUE_HEADER]))
    except (KeyError, ValueError):
        return None


def unstamped_headers(headers: Headers) -> Headers:
    """Return the headers that a message had before it was replayed."""
    return tuple((name, value) for name, value in headers if name not in (RUN_HEADER, STEP_HEADER, DUE_HEADER))
