"""What alerts are made of: the batch that a ledger entry names, and the past of its objects."""

from typing import Protocol

import pyarrow as pa

from stream_assoc.core.model.alerts import AsOf
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.types import IntArray


class AlertHistory(Protocol):
    """Reads whole rows of the APDB in Rubin's types; `~stream_assoc.stores.apdb.reading.port.ApdbReader` is one.

    Raises
    ------
    ApdbUnavailableError
        If the database is away, or takes too long.
    """

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        """Return the ledger entries of a visit and detector by ascending revision."""

    def seconds_behind(self) -> float | None:
        """Return how long ago the primary had what is read here; `None` if no standby is read."""

    def sources_of_batch(self, batch: BatchId, time: float | None, limit: int) -> pa.Table:
        """Return the sources of a visit and detector that were processed at a time, ascending by id."""

    def versions_made(self, diaObjectId: IntArray, time: float) -> pa.Table:
        """Return those versions of some objects that begin at a time, in any order."""

    def sources_before(self, diaObjectId: IntArray, as_of: AsOf, limit: int) -> pa.Table:
        """Return the sources of some objects that were processed before a time and counted then.

        Ascending by diaObjectId, midpointMjdTai and diaSourceId.
        """

    def forced_sources_until(self, diaObjectId: IntArray, as_of: AsOf, limit: int) -> pa.Table:
        """Return the forced sources of some objects that were processed by a time and counted then.

        Ascending by diaObjectId, midpointMjdTai, visit and detector.
        """
