"""Batches as timed messages."""

from dataclasses import dataclass, field
from typing import Final

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
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
