"""Claims: the ledger names for each batch the group that stores it, so that it counts once."""

import uuid

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.pipeline.exceptions import LedgerConflictError
from stream_assoc.stores.apdb.cassandra.connection import Connection, UnknownOutcomeError
from stream_assoc.stores.apdb.cassandra.groups import Groups
from stream_assoc.stores.apdb.cassandra.tables import LEDGER

_KEY = "visit = ? AND detector = ? AND revision = ?"
_CLAIM = f'INSERT INTO "{LEDGER}" (visit, detector, revision, group_id) VALUES (?, ?, ?, ?) IF NOT EXISTS'
_PASS = f'UPDATE "{LEDGER}" SET group_id = ? WHERE {_KEY} IF group_id = ?'
_READ = f'SELECT group_id FROM "{LEDGER}" WHERE {_KEY}'


class Claims:
    """The claims of the ledger, which are written by conditional writes alone.

    Parameters
    ----------
    connection : `Connection`
    groups : `Groups`
    """

    def __init__(self, connection: Connection, groups: Groups) -> None:
        self._connection = connection
        self._groups = groups

    def claim(self, batch: BatchRevision, group_id: uuid.UUID) -> None:
        """Let a batch count with a group that prepares. Claims are made in ascending order, with all leases held.

        A claim of another group passes on when that group is aborted. One that
        prepares still is aborted here: it holds other cells for the same batch, or it is dead.

        Raises
        ------
        LedgerConflictError
            If the batch counts already.
        """
        while (owner := self._owner(batch)) != group_id:
            if owner is not None and self._groups.abort(owner).counts:
                raise LedgerConflictError(f"another session stored visit {batch.visit}, detector {batch.detector}")
            try:
                if owner is None:
                    self._connection.decide(_CLAIM, *batch, group_id)
                else:
                    self._connection.decide(_PASS, group_id, *batch, owner)
            except UnknownOutcomeError:
                # The owner that is read next tells.
                continue

    def counts(self, batch: BatchRevision) -> bool:
        """Tell whether a batch is stored."""
        owner = self._owner(batch)
        return owner is not None and self._groups.read(owner).state.counts

    def _owner(self, batch: BatchRevision) -> uuid.UUID | None:
        rows = self._connection.read_serial(_READ, *batch)
        return rows[0][0] if rows else None
