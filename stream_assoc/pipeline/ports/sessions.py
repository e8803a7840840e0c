"""Sessions on the APDB: exclusive access to some cells of the sky, and the commit that ends one.

How a backend excludes others is its own business. PostgreSQL's advisory locks
die with the connection that commits; a store without such locks has to fence:
before it hands cells over, it makes the commit of the session that held them
impossible. The pipeline relies on four promises only.

* **Exclusion.** While a session holds a cell, no other session commits anything
  in it. A session that has lost a cell cannot commit: `ApdbSession.commit` raises
  `~stream_assoc.pipeline.exceptions.FencedError`, and nothing of it is stored.
* **Hand-over.** A session that gets a cell sees every commit made in it,
  complete. A commit that its process did not finish is finished, or made
  impossible, before.
* **Other writers.** Programs that take no cells may change rows all the same.
  Whatever they change raises the version of its tile, in the same transaction,
  and is told by `~stream_assoc.pipeline.ports.reader.SessionReader.read_snapshot`;
  a commit that has not seen it is refused. How a backend gets there is in
  `stream_assoc.stores.apdb.sql.other_writers`.
* **Liveness.** The cells of a process that died become free within a bounded
  time, without anybody's help.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.reader import SessionReader


class ApdbSession(SessionReader, Protocol):
    """Exclusive access to some cells of the APDB."""

    def prepare(self, diaObjectId: IntArray, validityEndMjdTai: FloatArray) -> None:
        """Hint that `commit`, which comes next, will supersede the current versions of these objects.

        Any backend may ignore it. One that can starts the work and lets the
        caller go on meanwhile. Nothing counts until `commit` returns, and
        nothing of these objects is read from here on.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            Each once, in the session's cells. Those without a version are ignored.
        validityEndMjdTai : `numpy.ndarray` [float64], shape (n,)
            When the next version of each begins, MJD TAI.
        """

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        """Store these batches, all or none, and return when they are durable. A session commits once.

        Several batches may touch one object. Each of its versions becomes a
        row, the earlier ones closed by the later; DiaObjectLast holds the last.

        *Atomic*, for all batches of the call, is one decision: that their
        ledger rows exist. A backend with transactions writes everything else in
        the same transaction. One without may write the rest before or after the
        decision, if whoever comes next can finish it by replay:

        ================= ======================================================
        ledger row        Key (visit, detector, revision), with the digest. Its
                          existence is the decision: a batch counts once. An
                          existing key refuses the whole commit.
        outbox entry      Exists from the decision on, with the same bytes,
                          until `~stream_assoc.pipeline.ports.outbox.ApdbOutbox.mark_published`.
        rows              Idempotent, by primary key: sources, object versions,
                          the ends of superseded and closed versions,
                          DiaObjectLast, forced sources, further statistics,
                          withdrawals. Complete before this call returns, and
                          before another session gets one of the cells.
        tile versions     Each grows by one for the commit, however often it is
                          replayed, and not before the rows are complete: the
                          cache believes a tile by its version.
        changed objects   Those that get a new version or are closed are no
                          longer noted as changed by another program.
        checkpoints       At most one an object. None stays of an object that is
                          voided or closed.
        counters          Exact: a replay adds nothing.
        replica records   Idempotent: a replay leaves no row twice. Complete
                          with the rows.
        ================= ======================================================

        The cache is no part of it. The caller writes it afterwards, and what is
        missing there is rebuilt.

        Returns
        -------
        tile_versions : `numpy.ndarray` [int64], shape (n_tiles,)
            The new version of each tile in the sorted union of the batches' tiles.

        Raises
        ------
        FencedError
            If the session had lost its cells. Nothing is stored, and nothing of
            it ever will be.
        TilesChangedError
            If another program has raised the version of a tile since
            `read_snapshot`. Nothing is stored.
        LedgerConflictError
            If another session has stored one of the batches. Nothing is stored.
        DuplicateSourceError
            If a diaSourceId is already stored. Nothing is stored.
        RowsRefusedError
            If the database refuses a value. Nothing is stored.
        ApdbUnavailableError
            If the database went away. Either nothing is stored, or everything
            is; the ledger says which.
        """

    def keep(self, checkpoints: Checkpoints) -> None:
        """Store checkpoints outside of a batch, in place of those that there are; may be called more than once.

        The objects lie in tiles that `read_snapshot` has told the versions of.

        Raises
        ------
        FencedError
            If the session had lost its cells. Nothing is stored.
        TilesChangedError
            If another program has raised the version of a tile since
            `read_snapshot`. Nothing is stored.
        ApdbUnavailableError
            If the database went away.
        """


class ApdbSessions(Protocol):
    """Opens sessions on the APDB."""

    def exclusive(self, cells: IntArray) -> AbstractContextManager[ApdbSession]:
        """Wait for, then hold, exclusive access to ``cells`` (sorted HTM indices).

        Leaving the block gives the cells back, and drops what was not committed.

        Raises
        ------
        ApdbUnavailableError
            If the cells were not free within the backend's patience, or the database is away.
        LocksExhaustedError
            If the backend cannot hold so many cells at once.
        """

    def contains(self, batch: BatchId) -> bool:
        """Tell whether the ledger holds this batch."""


class ApdbReaders(Protocol):
    """Reads the APDB without a session."""

    def reading(self) -> AbstractContextManager[SessionReader]:
        """Read as of one moment, which begins with the first question, and hold nothing meanwhile.

        All answers are of that moment: content that is read with a tile's version is the content of
        that version, whatever is committed meanwhile. No cell is taken and none waited for, and nobody waits
        for the reader. Databases keep what is outdated for as long as somebody may read it, so be brief.

        Raises
        ------
        ApdbUnavailableError
            If the database is away.
        """
