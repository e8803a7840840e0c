"""Whether a batch has counted before, and what is still to be published of it."""

from collections.abc import Sequence

from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.pipeline.arrival import Arrival
from stream_assoc.pipeline.outcomes import Redelivered
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.encoder import OutputEncoder


def recall(
    arrival: Arrival, entries: Sequence[LedgerEntry], apdb: Apdb, encoder: OutputEncoder
) -> Redelivered | None:
    """Return what is left to do for a batch that has counted, or `None` if its content never has.

    Content that a re-processing has taken the place of has counted too: it
    does not come back, however often a copy of it arrives.

    Parameters
    ----------
    arrival : `Arrival`
        The batch.
    entries : sequence of `LedgerEntry`
        All processings of its visit and detector.
    apdb : `Apdb`
        Keeps the outputs.
    encoder : `OutputEncoder`
        Unpacks them.
    """
    batch = arrival.batch
    known = next((entry for entry in entries if entry.digest == batch.digest), None)
    if known is None:
        return None
    # The outputs belong to the message that was processed. A copy of it at another
    # offset publishes nothing: whoever reads the original does.
    if arrival.position is None or known.position != arrival.position:
        return Redelivered(batch.id, (), known.revision)
    kept = apdb.outbox_entry(known.key)
    if kept is None:
        return Redelivered(batch.id, (), known.revision)
    return Redelivered(batch.id, encoder.unpack(kept.outputs), known.revision, kept.predecessors)
