"""What making alerts needs of messaging and of images, as protocols that the adapters satisfy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from stream_assoc.core.model.alerts import AlertRows, Stamps
from stream_assoc.core.model.batch import BatchId, ImageUris, Observation
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import PlacedMessage
from stream_assoc.service.ports import MessageSource


class PublishesAlerts(Protocol):
    """Where alerts go, together with the note of what they were made for."""

    def publish(self, messages: Sequence[PlacedMessage], consumed: Sequence[InputPosition]) -> None:
        """Publish the alerts and commit the offsets of these messages, all or nothing."""


@dataclass(frozen=True, slots=True)
class AlertEnds:
    """Where the metrics of committed batches come from, and where alerts go."""

    source: MessageSource
    publisher: PublishesAlerts


class WritesAlerts(Protocol):
    """Encodes alerts; `~stream_assoc.messaging.avro.alerts.encoder.AlertEncoder` does."""

    def encode(self, rows: AlertRows, stamps: Stamps | None, observation: Observation) -> pa.LargeBinaryArray:
        """Return one message for each alert, in order."""


class Missing(Protocol):
    """Why some alerts lack a stamp of an image that their batch names."""

    @property
    def kind(self) -> str:
        """``difference``, ``science`` or ``template``."""

    @property
    def reason(self) -> str:
        """A short name."""

    @property
    def n_stamps(self) -> int:
        """How many there are of them."""

    @property
    def message(self) -> str:
        """Cause and remedy."""


class CutStamps(Protocol):
    """The stamps of some alerts."""

    @property
    def stamps(self) -> Stamps:
        """Null where there is none."""

    @property
    def missing(self) -> Sequence[Missing]:
        """Why there are not more."""


class LoadedImages(Protocol):
    """The images of a batch, in memory."""

    @property
    def are_complete(self) -> bool:
        """Whether reading them again would give no more."""

    def cut(self, rows: pa.Table) -> CutStamps:
        """Return the stamps of rows of DiaSource."""


class LoadsImages(Protocol):
    """Reads the images of batches; `~stream_assoc.photometry.cutouts.cutter.Cutter` does."""

    def load(self, uris: ImageUris, batch: BatchId, band: str) -> LoadedImages:
        """Read the images of a batch, each once; one that cannot be read raises nothing."""
