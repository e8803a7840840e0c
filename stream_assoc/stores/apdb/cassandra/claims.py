"""Claims: the ledger names for each batch the group that stores it, so that it counts once."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.pipeline.exceptions import LedgerConflictError
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.failures import UnknownOutcomeError
from stream_assoc.stores.apdb.cassandra.groups import Group, Groups
from stream_assoc.stores.apdb.cassandra.tables import LEDGER
from stream_assoc.stores.apdb.rows.entries import entries_by_batch, ledger_entry, ledger_values
from stream_assoc.stores.apdb.rows.tables import LEDGER_COLUMNS, quoted

_KEY: Final = "visit = ? AND detector = ? AND revision = ?"
_CLAIM: Final = (
    f'INSERT INTO "{LEDGER}" ({quoted(LEDGER_COLUMNS)}, group_id) '
    f"VALUES ({', '.join('?' * len(LEDGER_COLUMNS))}, ?) IF NOT EXISTS"
)
_ASSIGNED: Final = ", ".join(f'"{name}" = ?' for name in LEDGER_COLUMNS[3:])
_PASS: Final = f'UPDATE "{LEDGER}" SET {_ASSIGNED}, group_id = ? WHERE {_KEY} IF group_id = ?'
_READ: Final = f'SELECT group_id FROM "{LEDGER}" WHERE {_KEY}'
_READ_ALL: Final = f'SELECT {quoted(LEDGER_COLUMNS)}, group_id FROM "{LEDGER}" WHERE visit = ? AND detector = ?'


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

    def claim(self, entry: LedgerEntry, group_id: uuid.UUID) -> None:
        """Let a batch count with a group that prepares. Claims are made in ascending order, with all leases held.

        A claim of another group passes on when that group is aborted. One that
        prepares still is aborted here: it holds other cells for the same batch, or it is dead.

        Raises
        ------
        LedgerConflictError
            If the batch counts already.
        """
        batch, values = entry.key, ledger_values(entry)
        # Nearly always nobody has it.
        if self._try(_CLAIM, *values, group_id):
            return
        while (owner := self._owner(batch)) != group_id:
            if owner is None:
                self._try(_CLAIM, *values, group_id)
            elif self._groups.abort(owner).counts:
                raise LedgerConflictError(f"another session stored visit {batch.visit}, detector {batch.detector}")
            else:
                self._try(_PASS, *values[3:], group_id, *batch, owner)

    def counts(self, batch: BatchRevision) -> bool:
        """Tell whether a batch is stored."""
        owner = self.owner(batch)
        return owner is not None and owner.state.counts

    def owner(self, batch: BatchRevision) -> Group | None:
        """Return the group that has claimed a batch last."""
        owner = self._owner(batch)
        return None if owner is None else self._groups.read(owner)

    def entries(self, batches: Iterable[BatchId]) -> dict[BatchId, tuple[LedgerEntry, ...]]:
        """Return those of these batches that count, each with its revisions."""
        return entries_by_batch([row for batch in batches for row in self._counted(batch)])

    def entry(self, batch: BatchRevision) -> LedgerEntry:
        """Return the entry of a batch that is known to count."""
        (row,) = self._connection.read_serial(f'SELECT {quoted(LEDGER_COLUMNS)} FROM "{LEDGER}" WHERE {_KEY}', *batch)
        return ledger_entry(row)

    def _counted(self, batch: BatchId) -> list[tuple[Any, ...]]:
        rows = self._connection.read_serial(_READ_ALL, *batch)
        counts = {group_id: self._groups.read(group_id).state.counts for group_id in {row[-1] for row in rows}}
        return [row[:-1] for row in rows if counts[row[-1]]]

    def _try(self, statement: str, *parameters: object) -> bool:
        """Decide, and tell whether it has happened for certain; otherwise the owner that is read next tells."""
        try:
            return self._connection.decide(statement, *parameters)
        except UnknownOutcomeError:
            return False

    def _owner(self, batch: BatchRevision) -> uuid.UUID | None:
        rows = self._connection.read_serial(_READ, *batch)
        return rows[0][0] if rows else None
