"""What the pipeline needs to turn results into messages."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import IntArray


class OutputEncoder(Protocol):
    """Encodes what a batch led to, and packs messages for the outbox."""

    def encode_objects(self, dia_objects: pa.Table, further: pa.Table | None = None) -> list[OutputMessage]:
        """Return one message for each DiaObject row, in order, of whichever batches.

        Parameters
        ----------
        dia_objects : `pyarrow.Table`
            New DiaObject versions, every column including ``pixelId``.
        further : `pyarrow.Table`, optional
            For each row its further statistics
            (`~stream_assoc.core.model.further_statistics`), any of their columns,
            and those of plugins of other packages.
        """

    def encode_closed(self, diaObjectId: IntArray, validityEndMjdTai: float) -> list[OutputMessage]:
        """Return one message for each object that has ended at this time, MJD TAI: its key without a value."""

    def encode_forced_sources(self, forced_sources: pa.Table) -> list[OutputMessage]:
        """Return one message for each DiaForcedSource row, in order."""

    def encode_metrics(self, metrics: AssociationMetrics) -> OutputMessage:
        """Return the message of one batch's metrics."""

    def pack(self, messages: Sequence[OutputMessage]) -> bytes:
        """Return messages as one value for the outbox; the same messages give the same bytes."""

    def unpack(self, packed: bytes) -> list[OutputMessage]:
        """Return the messages that `pack` packed.

        Raises
        ------
        FatalError
            If the bytes are damaged or of another format.
        """
