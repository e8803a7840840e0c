"""Leases of cells: a lease points to a group, and passes on only when that group can never commit, or is applied.

The cells of a region lie in one partition, so that one conditional write takes
or frees all that a session needs of it. Regions are taken one after another,
in ascending order, by everybody, so that no two sessions wait for each other.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.pipeline.exceptions import ApdbUnavailableError, FencedError
from stream_assoc.stores.apdb.cassandra.applier import Applier
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.failures import UnknownOutcomeError
from stream_assoc.stores.apdb.cassandra.groups import Commitment, Group, Groups, State
from stream_assoc.stores.apdb.cassandra.tables import LEASE

REGION_LEVELS: Final = 3
"""How many HTM levels a region is above a cell: at level 8 it is about 5 square degrees."""

LOOK_SECONDS: Final = 0.02
"""How long to wait before a lease that somebody holds is looked at again."""

_COLUMNS: Final = "cell, holder, last_timestamp, tile_versions, last_batches"
_READ: Final = f'SELECT {_COLUMNS}, n_single_source FROM "{LEASE}" WHERE region = ? AND cell IN ?'
_TAKE: Final = f'UPDATE "{LEASE}" SET holder = ? WHERE region = ? AND cell = ? IF holder = ?'
_FREE: Final = f'UPDATE "{LEASE}" SET holder = NULL WHERE region = ? AND cell = ? IF holder = ?'
_RELEASE: Final = (
    f'UPDATE "{LEASE}" SET holder = NULL, last_timestamp = ?, tile_versions = ?, last_batches = ? '
    "WHERE region = ? AND cell = ? IF holder = ?"
)
_COUNT: Final = f'UPDATE "{LEASE}" SET n_single_source = ? WHERE region = ? IF n_single_source = ?'
_COUNTED: Final = f'SELECT n_single_source FROM "{LEASE}" WHERE region = ? LIMIT 1'
_RAISE: Final = f'UPDATE "{LEASE}" SET last_timestamp = ? WHERE region = ? AND cell = ? IF holder = ?'


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of a cell.

    Attributes
    ----------
    cell : `int`
    holder : `uuid.UUID` or `None`
        The group that has it.
    last_timestamp : `int`
        Above this one is whatever is written next, microseconds.
    tile_versions : mapping
        Version of each tile that a batch has changed.
    last_batches : mapping
        The batch that changed each tile last.
    """

    cell: int
    holder: uuid.UUID | None = None
    last_timestamp: int = 0
    tile_versions: Mapping[int, int] = field(default_factory=dict)
    last_batches: Mapping[int, BatchRevision] = field(default_factory=dict)


class Leases:
    """The table of leases, which is written by conditional writes alone.

    Parameters
    ----------
    connection : `Connection`
    groups : `Groups`
    applier : `Applier`
        Finishes what a holder has committed.
    tile_shift : `int`
        Bits between the index of a tile and that of its cell.
    patience_seconds : `float`
        How long a holder's counter may stand still before its group is aborted, on this process's own clock.
    monotonic : callable
        That clock, seconds.
    """

    def __init__(
        self,
        connection: Connection,
        groups: Groups,
        applier: Applier,
        *,
        tile_shift: int,
        patience_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._groups = groups
        self._applier = applier
        self._tile_shift = tile_shift
        self._monotonic = monotonic
        self._watch = Watch(patience_seconds, monotonic)

    def take(self, group_id: uuid.UUID, cells: Iterable[int], wait_seconds: float) -> dict[int, Lease]:
        """Wait for these cells, and return what their last holders have left.

        Raises
        ------
        ApdbUnavailableError
            If they were not free in time.
        """
        deadline = self._monotonic() + wait_seconds
        taken: dict[int, Lease] = {}
        for region, theirs in groupby(sorted(cells), region_of):
            taken |= self._take_region(group_id, region, list(theirs), deadline)
        return taken

    def read(self, cells: Iterable[int]) -> dict[int, Lease]:
        """Return what is known of these cells; a cell that no session has ever had is free."""
        found: dict[int, Lease] = {}
        for region, theirs in groupby(sorted(cells), region_of):
            asked = list(theirs)
            rows = self._connection.read_serial(_READ, region, asked)
            found |= {cell: Lease(cell) for cell in asked} | {row[0]: _lease(row[:-1]) for row in rows}
        return found

    def being_written(self, cells: Iterable[int]) -> frozenset[int]:
        """Return those of these cells whose holder has committed, and may not have written all its rows."""
        leases = self.read(cells)
        holders = {lease.holder for lease in leases.values() if lease.holder is not None}
        committed = {holder for holder in holders if self._groups.read(holder).state is State.COMMITTED}
        return frozenset(cell for cell, lease in leases.items() if lease.holder in committed)

    def hold(self, group_id: uuid.UUID, cells: Iterable[int], timestamp: int) -> None:
        """Let what follows be later than a timestamp, if the group holds these cells.

        Raises
        ------
        FencedError
            If it does not.
        """
        for region, theirs in groupby(sorted(cells), region_of):
            raised = [(_RAISE, (timestamp, region, cell, group_id)) for cell in theirs]
            if not self._connection.decide_together(raised):
                raise FencedError(f"the cells of the group {group_id} went to another session")

    def pass_on(self, group: Group, cells: Iterable[int] = ()) -> None:
        """Free the cells of a group that is applied or aborted; an applied one raises versions, once.

        Anybody may do it, and again: each region changes in the one conditional write that frees its cells.

        Parameters
        ----------
        group : `Group`
        cells : iterable of `int`
            Further cells that point to it: one that was aborted may have taken some that it never noted.
        """
        commitment = group.commitment if group.state.is_applied else None
        for region, theirs in groupby(sorted({*group.cells, *cells}), region_of):
            # What it counts is kept in one of its regions.
            is_first = region == region_of(min(group.cells))
            delta = commitment.single_source_delta if commitment is not None and is_first else 0
            self._pass_on_region(group.group_id, region, list(theirs), commitment, delta)

    def catch_up(self, group: Group) -> None:
        """Let cells of an applied group know of it that do not yet, as after a restore; all cells are free.

        A cell knows of a group when its last timestamp is not before the
        group's. Groups that share a cell are told in their order.
        """
        commitment = group.commitment
        if commitment is None:
            return
        for region, theirs in groupby(sorted(group.cells), region_of):
            cells = list(theirs)
            delta = commitment.single_source_delta if region == region_of(min(group.cells)) else 0
            while behind := self._behind(cells, commitment.timestamp):
                statements = [self._release(region, lease, None, commitment) for lease in behind]
                # Where one of the region's cells knows of it, it is counted.
                if delta and len(behind) == len(cells):
                    found = self._connection.read_serial(_COUNTED, region)
                    counted = found[0][0] if found else None
                    statements.append((_COUNT, ((counted or 0) + delta, region, counted)))
                self._try(statements)

    def single_source_objects(self) -> int:
        """Return the number of objects with one source, as the batches that are released have counted."""
        return count_single_source_objects(self._connection)

    def known_tiles(self) -> list[int]:
        """Return every tile that any batch has changed, ascending."""
        rows = self._connection.read(f'SELECT tile_versions FROM "{LEASE}"')
        return sorted(tile for (versions,) in rows for tile in (versions or ()))

    def clear(self, holder: uuid.UUID, cells: Iterable[int] = ()) -> State:
        """Finish what a group has committed, and free its cells and these if it is decided; return its state."""
        group = self._groups.read(holder)
        if group.state is State.COMMITTED:
            self._applier.apply(group)
            group = self._groups.read(holder)
        if group.state is not State.PREPARING:
            self.pass_on(group, cells)
            self._watch.forget(holder)
        return group.state

    def try_take(self, group_id: uuid.UUID, cell: int) -> bool:
        """Take a cell if it is free; tell whether the group has it."""
        if self._try([(_TAKE, (group_id, region_of(cell), cell, None))]):
            return True
        return self.read([cell])[cell].holder == group_id

    def clear_abandoned(self, holder: uuid.UUID, cells: Iterable[int]) -> bool:
        """Do what `clear` does, and abort a group that has stood still; tell whether the cells are free of it."""
        state = self.clear(holder, cells)
        if state is State.PREPARING and self._watch.is_abandoned(holder, self._groups.read(holder).counter):
            self._groups.abort(holder)
            state = self.clear(holder, cells)
        return state is not State.PREPARING

    def finish(self, group_id: uuid.UUID) -> None:
        """Apply a group that has been committed for long, abort one that stands still, and forget what is done."""
        group = self._groups.read(group_id)
        if group.state is State.COMMITTED and not self._watch.is_abandoned(group_id, group.counter):
            return
        if self.clear_abandoned(group_id, ()):
            self._applier.forget(group_id)

    def _behind(self, cells: Sequence[int], timestamp: int) -> list[Lease]:
        return [lease for lease in self.read(cells).values() if lease.last_timestamp < timestamp]

    def _take_region(
        self, group_id: uuid.UUID, region: int, cells: Sequence[int], deadline: float
    ) -> dict[int, Lease]:
        while True:
            leases = self.read(cells)
            holders = {lease.holder for lease in leases.values()} - {None}
            if holders == {group_id}:
                return leases
            # In an answer that never came the cells were taken together.
            if not holders:
                self._try([(_TAKE, (group_id, region, cell, None)) for cell in cells])
                continue
            for holder in holders:
                self._clear_or_wait(holder, cells, deadline)

    def _clear_or_wait(self, holder: uuid.UUID | None, cells: Sequence[int], deadline: float) -> None:
        if holder is None or self.clear_abandoned(holder, cells):
            return
        if self._monotonic() > deadline:
            raise ApdbUnavailableError(
                "another session holds some of the cells; wait longer (apdb.lock_timeout_seconds), or look for a "
                "daemon that does not come on"
            )
        else:
            _pause(LOOK_SECONDS)

    def _pass_on_region(
        self, group_id: uuid.UUID, region: int, cells: Sequence[int], commitment: Commitment | None, delta: int
    ) -> None:
        while True:
            rows = self._connection.read_serial(_READ, region, list(cells))
            held = [_lease(row[:-1]) for row in rows if row[1] == group_id]
            if not held:
                return
            if commitment is None:
                statements: list[tuple[str, Sequence[object]]] = [
                    (_FREE, (region, lease.cell, group_id)) for lease in held
                ]
            else:
                statements = [self._release(region, lease, group_id, commitment) for lease in held]
            if delta:
                counted = rows[0][-1]
                statements.append((_COUNT, ((counted or 0) + delta, region, counted)))
            if self._try(statements):
                return

    def _release(
        self, region: int, lease: Lease, group_id: uuid.UUID | None, commitment: Commitment
    ) -> tuple[str, Sequence[object]]:
        tiles = [tile for tile in commitment.tiles if tile >> self._tile_shift == lease.cell]
        versions = {**lease.tile_versions, **{tile: lease.tile_versions.get(tile, 0) + 1 for tile in tiles}}
        last = dict(lease.last_batches)
        if commitment.last_batch is not None:
            last |= dict.fromkeys(tiles, commitment.last_batch)
        timestamp = max(lease.last_timestamp, commitment.timestamp)
        return _RELEASE, (timestamp, versions, last, region, lease.cell, group_id)

    def _try(self, statements: Sequence[tuple[str, Sequence[object]]]) -> bool:
        """Decide, and tell whether it has happened for certain; otherwise the rows have to be read again."""
        try:
            return self._connection.decide_together(statements)
        except UnknownOutcomeError:
            return False


class Watch:
    """Which groups have stood still, as one process sees it.

    Parameters
    ----------
    patience_seconds : `float`
        How long a counter may stand still.
    monotonic : callable
        A clock that never goes back, seconds.
    """

    def __init__(self, patience_seconds: float, monotonic: Callable[[], float]) -> None:
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._seen: dict[uuid.UUID, tuple[int, float]] = {}

    def is_abandoned(self, group_id: uuid.UUID, counter: int) -> bool:
        """Tell whether this counter of a group has been seen for too long."""
        now = self._monotonic()
        before, since = self._seen.get(group_id, (None, now))
        if counter != before:
            self._seen[group_id] = (counter, now)
            return False
        return now - since > self._patience_seconds

    def forget(self, group_id: uuid.UUID) -> None:
        """Watch a group that is decided no longer."""
        self._seen.pop(group_id, None)


def count_single_source_objects(connection: Connection) -> int:
    """Return the number of objects with one source; see `Leases.single_source_objects`."""
    rows = connection.read(f'SELECT DISTINCT region, n_single_source FROM "{LEASE}"')
    return sum(number or 0 for _, number in rows)


def region_of(cell: int) -> int:
    """Return the partition in which the lease of a cell is kept."""
    return cell >> (2 * REGION_LEVELS)


def _lease(row: Sequence[object]) -> Lease:
    cell, holder, last_timestamp, versions, batches = row
    known = {tile: BatchRevision(*batch) for tile, batch in dict(batches or {}).items()}  # type: ignore[call-overload]
    return Lease(cell, holder, last_timestamp or 0, dict(versions or {}), known)  # type: ignore[arg-type,call-overload]


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
