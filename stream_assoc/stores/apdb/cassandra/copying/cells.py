"""Copying what is known of cells: versions of tiles, their last batches, and how many objects have one source."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import pyarrow as pa

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.stores.apdb.cassandra.adoption import ADOPTION_CELL
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.leases import Lease, count_single_source_objects, region_of
from stream_assoc.stores.apdb.cassandra.tables import LEASE

_SET: Final = (
    f'UPDATE "{LEASE}" SET last_timestamp = ?, tile_versions = ?, last_batches = ? '
    "WHERE region = ? AND cell = ? IF last_timestamp = NULL"
)
_COUNT: Final = f'UPDATE "{LEASE}" SET n_single_source = ? WHERE region = ? IF n_single_source = NULL'


@dataclass(frozen=True, slots=True)
class CopiedCells:
    """Writes the leases of cells that no session has had since the copy began.

    Attributes
    ----------
    connection : `Connection`
    timestamp : `int`
        Microseconds; whatever is stored in these cells will be later.
    cell_shift : `int`
        Bits between the index of a tile and that of its cell.
    """

    connection: Connection
    timestamp: int
    cell_shift: int

    def by_region(self, stretches: Iterable[pa.Table]) -> Iterator[dict[int, Lease]]:
        """Yield what is known of the cells of a region, from rows of tiles that ascend."""
        tiles = (row for stretch in stretches for row in stretch.to_pylist())
        for _, of_region in groupby(tiles, lambda row: region_of(row["tile"] >> self.cell_shift)):
            of_cells = groupby(of_region, lambda row: row["tile"] >> self.cell_shift)
            yield {cell: self._lease(cell, list(rows)) for cell, rows in of_cells}

    def write(self, leases: Mapping[int, Lease]) -> None:
        """Write the leases of cells of one region, unless they are written."""
        self.connection.decide_together(
            [
                (_SET, (one.last_timestamp, one.tile_versions, one.last_batches, region_of(cell), cell))
                for cell, one in leases.items()
            ]
        )

    def write_count(self, n_single_source: int) -> None:
        """Write the number of objects with one source, for no part of the sky, unless it is written."""
        self.connection.decide(_COUNT, n_single_source, region_of(ADOPTION_CELL))

    def count(self) -> int:
        """Return that number."""
        return count_single_source_objects(self.connection)

    def _lease(self, cell: int, rows: list[dict[str, Any]]) -> Lease:
        last = {
            row["tile"]: BatchRevision(row["visit"], row["detector"], row["revision"])
            for row in rows
            if row["visit"] is not None
        }
        return Lease(cell, None, self.timestamp, {row["tile"]: row["version"] for row in rows}, last)
