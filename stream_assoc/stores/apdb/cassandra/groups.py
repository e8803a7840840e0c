"""Groups: intents to store some batches together. A group's one row is the commit point of all of them.

A group is ``preparing``, then ``committed``, then ``applied``, and ``retired``
when a backup begins later; or it is ``aborted``. Each try has a group of its own, so that a group is also the token
of the try: what a daemon that wakes up late still sends is about a group that
is decided.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.exceptions import FencedError
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.failures import UnknownOutcomeError
from stream_assoc.stores.apdb.cassandra.tables import GROUP
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

ATTEMPTS: Final = 5
"""How often a conditional write without an answer is followed by another before the ring counts as away."""

_BEGIN: Final = (
    f"INSERT INTO \"{GROUP}\" (group_id, state, counter, cells) VALUES (?, 'preparing', 0, ?) IF NOT EXISTS"
)
_RENEW: Final = f"UPDATE \"{GROUP}\" SET counter = ? WHERE group_id = ? IF state = 'preparing'"
_ABORT: Final = f"UPDATE \"{GROUP}\" SET state = 'aborted' WHERE group_id = ? IF state = 'preparing'"
_EXTEND: Final = f"UPDATE \"{GROUP}\" SET cells = ? WHERE group_id = ? IF state = 'preparing'"
_COMMIT: Final = (
    f"UPDATE \"{GROUP}\" SET state = 'committed', timestamp = ?, n_chunks = ?, digest = ?, tiles = ?, "
    "last_batch = ?, single_source_delta = ? WHERE group_id = ? IF state = 'preparing'"
)
_APPLIED: Final = f"UPDATE \"{GROUP}\" SET state = 'applied' WHERE group_id = ? IF state = 'committed'"
_RETIRE: Final = f"UPDATE \"{GROUP}\" SET state = 'retired' WHERE group_id = ? IF state = 'applied'"
_NOTE_ABORTED: Final = f"INSERT INTO \"{GROUP}\" (group_id, state, counter) VALUES (?, 'aborted', 0) IF NOT EXISTS"
_READ: Final = (
    "SELECT state, counter, cells, timestamp, n_chunks, digest, tiles, last_batch, single_source_delta "
    f'FROM "{GROUP}" WHERE group_id = ?'
)


class State(StrEnum):
    """Where a group is on its way."""

    PREPARING = "preparing"
    COMMITTED = "committed"
    APPLIED = "applied"
    RETIRED = "retired"
    ABORTED = "aborted"

    @property
    def counts(self) -> bool:
        """Whether the group's batches are stored, or will be by whoever comes next."""
        return self is State.COMMITTED or self.is_applied

    @property
    def is_applied(self) -> bool:
        """Whether all its rows are there; of a retired one a backup has them that began later, without its plan."""
        return self in (State.APPLIED, State.RETIRED)


@dataclass(frozen=True, slots=True)
class Commitment:
    """What the commit of a group says of its plan, and of what is to be left in its leases.

    Attributes
    ----------
    timestamp : `int`
        Microseconds at which all its rows are written, by whomever.
    n_chunks : `int`
        Chunks of the plan.
    digest : `bytes`
        SHA-256 of the plan.
    tiles : `tuple` [`int`, ...]
        Tiles whose versions grow.
    last_batch : `BatchRevision` or `None`
        The last of its batches, which changed these tiles.
    single_source_delta : `int`
        Change of the number of objects with one source.
    """

    timestamp: int
    n_chunks: int
    digest: bytes
    tiles: tuple[int, ...]
    last_batch: BatchRevision | None
    single_source_delta: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it was read.

    Attributes
    ----------
    group_id : `uuid.UUID`
    state : `State`
    counter : `int`
        Grows while its daemon works.
    cells : `tuple` [`int`, ...]
        Cells that it has leased, or is about to lease.
    commitment : `Commitment` or `None`
        `None` before the commit.
    """

    group_id: uuid.UUID
    state: State
    counter: int
    cells: tuple[int, ...]
    commitment: Commitment | None


class Groups:
    """The table of groups, which is written by conditional writes alone.

    Parameters
    ----------
    connection : `Connection`
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, cells: IntArray) -> uuid.UUID:
        """Make a group that prepares, about these cells."""
        group_id = uuid.uuid4()
        # Nobody else knows its name: one that is there already was made by a try without an answer.
        self._certainly(lambda: self._connection.decide(_BEGIN, group_id, cells.tolist()))
        return group_id

    def read(self, group_id: uuid.UUID) -> Group:
        """Return a group as all decisions about it that have ended have left it.

        Raises
        ------
        ApdbDamagedError
            If there is none: groups are never deleted, so nobody can tell what became of it.
        """
        rows = self._connection.read_serial(_READ, group_id)
        if not rows:
            raise ApdbDamagedError(
                f"the table {GROUP} lacks the row {group_id}, which a lease or the ledger names: "
                "restore it from a backup"
            )
        state, counter, cells, timestamp, n_chunks, digest, tiles, last_batch, delta = rows[0]
        commitment = None
        if timestamp is not None:
            last = None if last_batch is None else BatchRevision(*last_batch)
            commitment = Commitment(timestamp, n_chunks, digest, tuple(tiles or ()), last, delta)
        return Group(group_id, State(state), counter, tuple(cells or ()), commitment)

    def renew(self, group_id: uuid.UUID, counter: int) -> bool:
        """Show that the group's daemon is at work; tell whether the group still prepares."""
        return self._connection.decide(_RENEW, counter, group_id)

    def extend(self, group_id: uuid.UUID, cells: Sequence[int]) -> None:
        """Note all cells of a group before it takes further ones.

        Raises
        ------
        FencedError
            If the group has been aborted.
        """
        if not self._certainly(lambda: self._connection.decide(_EXTEND, cells, group_id)):
            raise _fenced(group_id)

    def abort(self, group_id: uuid.UUID) -> State:
        """Make the commit of a group impossible, unless it has happened; return what the group is now."""
        aborted = self._certainly(lambda: self._connection.decide(_ABORT, group_id))
        return State.ABORTED if aborted else self.read(group_id).state

    def commit(self, group_id: uuid.UUID, commitment: Commitment) -> None:
        """Commit a group whose plan is written.

        Raises
        ------
        FencedError
            If the group has been aborted: nothing of it is stored, and nothing ever will be.
        ApdbUnavailableError
            If the ring went away; the ledger tells whether the group is committed.
        """
        plan = (commitment.timestamp, commitment.n_chunks, commitment.digest)
        leases = (list(commitment.tiles), commitment.last_batch, commitment.single_source_delta)
        try:
            committed = self._connection.decide(_COMMIT, *plan, *leases, group_id)
        except UnknownOutcomeError:
            # It may happen yet. Only once it cannot, it has failed.
            committed = self.abort(group_id).counts
        if not committed:
            raise _fenced(group_id)

    def mark_applied(self, group_id: uuid.UUID) -> None:
        """Note that all rows of a committed group are at a quorum. Doing so again changes nothing."""
        self._certainly(lambda: self._connection.decide(_APPLIED, group_id))

    def retire(self, group_id: uuid.UUID) -> bool:
        """Note of an applied group that a backup begins, which needs no plan of it; tell whether it was applied."""
        return self._connection.decide(_RETIRE, group_id)

    def note_aborted(self, group_id: uuid.UUID) -> None:
        """Make a group that is not there one that is aborted: what names it was restored, and it was not."""
        self._certainly(lambda: self._connection.decide(_NOTE_ABORTED, group_id))

    @staticmethod
    def _certainly(decide: Callable[[], bool]) -> bool:
        """Decide, and again where no answer comes; the same decision made twice must be the same as made once."""
        for _ in range(ATTEMPTS - 1):
            try:
                return decide()
            except UnknownOutcomeError:
                continue
        return decide()


def _fenced(group_id: uuid.UUID) -> FencedError:
    return FencedError(f"the session's cells went to another one, which has aborted its group {group_id}")
