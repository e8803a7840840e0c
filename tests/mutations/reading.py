"""Rules of what is read, left out."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pytest

from stream_assoc.pipeline.exceptions import DuplicateSourceError
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.pipeline.warming import Warmer
from stream_assoc.stores.apdb.cassandra import applier as applier_module
from stream_assoc.stores.apdb.cassandra import near
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.groups import Commitment, State
from stream_assoc.stores.apdb.cassandra.leases import Lease, Leases
from stream_assoc.stores.apdb.cassandra.session import CassandraSession
from stream_assoc.stores.apdb.cassandra.source_claims import SourceClaims
from stream_assoc.stores.apdb.rows.written import StoreRows
from stream_assoc.stores.cache.redis import cache as cache_module
from tests.mutations.aborts import as_aborted, claims_by

Patch = pytest.MonkeyPatch


def version_is_checked(patch: Patch) -> None:
    """A cached tile counts at whatever version."""
    patch.setattr(cache_module, "of_version", lambda cached, *_: cached.objects)


def version_is_raised(patch: Patch) -> None:
    """A batch changes no version."""
    release = Leases._release

    def without_tiles(leases: Leases, region: int, lease: Lease, group_id: uuid.UUID, commitment: Commitment) -> Any:
        return release(leases, region, lease, group_id, replace(commitment, tiles=()))

    patch.setattr(Leases, "_release", without_tiles)


def version_after_rows(patch: Patch) -> None:
    """The version is seen to grow with the commit."""
    read = Leases.read

    def read_early(leases: Leases, cells: Iterable[int]) -> dict[int, Lease]:
        return {cell: _as_committed(leases, lease) for cell, lease in read(leases, cells).items()}

    patch.setattr(Leases, "read", read_early)


def _as_committed(leases: Leases, lease: Lease) -> Lease:
    group = None if lease.holder is None else leases._groups.read(lease.holder)
    if group is None or group.commitment is None or group.state is not State.COMMITTED:
        return lease
    theirs = [tile for tile in group.commitment.tiles if tile >> leases._tile_shift == lease.cell]
    raised = {tile: lease.tile_versions.get(tile, 0) + 1 for tile in theirs}
    return replace(lease, tile_versions={**lease.tile_versions, **raised})


def version_read_before(patch: Patch) -> None:
    """Who warms the cache reads the versions after the rows."""
    write_tiles = Warmer._write_tiles

    def with_versions_of_now(warmer: Warmer, tiles: CachedTiles) -> int:
        with warmer.apdb.reading() as reader:
            versions = reader.read_snapshot([], tiles.objects.tiles).tile_versions
        return write_tiles(warmer, CachedTiles(tiles.objects, versions))

    patch.setattr(Warmer, "_write_tiles", with_versions_of_now)


def read_serial(patch: Patch) -> None:
    """What is written by LWT is read like other rows."""
    patch.setattr(Connection, "read_serial", Connection.read)


def destination_leased(patch: Patch) -> None:
    """A cell to which an object moves is looked at, and not taken."""
    hold = CassandraSession._hold_too

    def looks(session: CassandraSession, rows: StoreRows) -> None:
        leases = session._database.leases
        with Patch.context() as within:
            within.setattr(leases, "take", lambda _group_id, cells, _wait_seconds: leases.read(cells))
            hold(session, rows)

    patch.setattr(CassandraSession, "_hold_too", looks)


def one_timestamp(patch: Patch) -> None:
    """What is deleted is deleted a little later than what is written."""
    write_of = applier_module.write_of
    patch.setattr(
        applier_module,
        "write_of",
        lambda change, timestamp: write_of(change, timestamp + (10_000_000 if change.deletes else 0)),
    )


def map_decides(patch: Patch) -> None:
    """Each row of an object is one."""

    def every_row(connection: Connection, spans: list[tuple[int, int]]) -> tuple[list[Any], bool]:
        pixels = [pixel for span in spans for pixel in range(*span)]
        return connection.read_in(near._LAST, pixels), True

    patch.setattr(near, "_read", every_row)


def owner_by_lwt(patch: Patch) -> None:
    """Nobody claims source ids."""
    patch.setattr(SourceClaims, "claim", lambda *_: None)


def owner_passes(patch: Patch) -> None:
    """An id that another group has claimed counts as stored."""

    def refuse(_group_id: uuid.UUID) -> State:
        raise DuplicateSourceError("another group has claimed it")

    claims_by(patch, SourceClaims, refuse)


def owner_is_fenced(patch: Patch) -> None:
    """An id passes from a group that may commit yet."""
    claims_by(patch, SourceClaims, as_aborted)


MUTATIONS: Final = {
    "VersionIsChecked": version_is_checked,
    "VersionIsRaised": version_is_raised,
    "VersionAfterRows": version_after_rows,
    "VersionReadBefore": version_read_before,
    "ReadSerial": read_serial,
    "DestinationLeased": destination_leased,
    "OneTimestamp": one_timestamp,
    "MapDecides": map_decides,
    "OwnerByLWT": owner_by_lwt,
    "OwnerPasses": owner_passes,
    "OwnerIsFenced": owner_is_fenced,
}
