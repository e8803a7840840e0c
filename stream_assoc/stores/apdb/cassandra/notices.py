"""Notices: what other programs have changed, by the cell of the object that it is about.

Whoever opens a session reads the update records first, so that no record that
was written before is missed, and notes those of all cells. A notice of another
cell waits for that cell's next session.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stream_assoc.core.sky.htm import htm_index
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.cassandra.rows_of_objects import RowsOfObjects
from stream_assoc.stores.apdb.cassandra.tables import NOTICE, OBJECT
from stream_assoc.stores.apdb.cassandra.update_log import Name, UpdateLog, UpdateRecord

REASSIGN: Final = "reassign_diasource_to_diaobject"
COUNT: Final = "update_n_dia_sources"
CLOSE: Final = "close_diaobject_validity"
WITHDRAW: Final = "withdraw_diasource"
WITHDRAW_FORCED: Final = "withdraw_diaforcedsource"

BEFORE_ALL_BATCHES: Final = 1
"""Timestamp of a notice. Whoever reads its record once more brings nothing back that a batch has dealt with."""

_POSITIONS: Final = f'SELECT "diaObjectId", ra, dec FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
_MAP: Final = 'SELECT "diaSourceId", apdb_part, apdb_time_part FROM "DiaSourceToPartition" WHERE "diaSourceId" IN ?'
_COLUMNS: Final = 'update_time_ns, update_order, update_unique_id, "diaObjectId"'
_READ: Final = f'SELECT cell, {_COLUMNS}, tile, kind, payload, is_noticed FROM "{NOTICE}" WHERE cell IN ?'
_WRITE: Final = (
    f'INSERT INTO "{NOTICE}" (cell, {_COLUMNS}, tile, kind, payload) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What one update record says of one object.

    Attributes
    ----------
    cell, tile : `int`
        Where the object is.
    name : `tuple`
        The record's.
    diaObjectId : `int`
    kind : `str`
    values : `dict`
        The fields of the record.
    is_noticed : `bool`
        Whether versions are raised, and counts and checkpoints are as it says.
    """

    cell: int
    name: Name
    diaObjectId: int
    tile: int
    kind: str
    values: dict[str, Any]
    is_noticed: bool

    @property
    def makes_outdated(self) -> bool:
        """Whether the object's version no longer is what its sources say, so that it needs another."""
        return self.kind != CLOSE


class Notices:
    """Notes what the update records say, and reads what is noted of some cells. Threads may share it.

    Parameters
    ----------
    connection : `Connection`
    rows : `RowsOfObjects`
    log : `UpdateLog` or `None`
        `None` where replication is off: then other programs write no records.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells.
    """

    def __init__(
        self, connection: Connection, rows: RowsOfObjects, log: UpdateLog | None, *, tile_level: int, cell_level: int
    ) -> None:
        self._connection = connection
        self._rows = rows
        self._log = log
        self._tile_level = tile_level
        self._cell_level = cell_level
        self._lock = threading.Lock()

    def of(self, cells: Iterable[int]) -> list[Notice]:
        """Return what `read` returns, once all records that are written by now are noted."""
        if self._log is not None:
            with self._lock:
                self._note(self._log.new_records())
                self._log.pass_by()
        return self.read(cells)

    def read(self, cells: Iterable[int]) -> list[Notice]:
        """Return the notices of these cells, in the order of the records."""
        rows = self._connection.read_in(_READ, sorted(cells))
        found = [
            Notice(cell, (time, order, unique_id), identifier, tile, kind, json.loads(payload), bool(is_noticed))
            for cell, time, order, unique_id, identifier, tile, kind, payload, is_noticed in rows
        ]
        return sorted(found, key=lambda notice: (notice.name, notice.diaObjectId))

    def _note(self, records: Sequence[UpdateRecord]) -> None:
        about = [(record, identifier) for record, identifier in self._objects_of(records)]
        ids = sorted({identifier for _, identifier in about})
        places = self._places(ids)
        rows = []
        for record, identifier in about:
            # An object that we have never stored has no state and no tile of ours.
            if identifier in places:
                tile, cell = places[identifier]
                named = (cell, *record.name, identifier, tile, record.kind, json.dumps(record.values))
                rows.append((*named, BEFORE_ALL_BATCHES))
        self._connection.write_each(_WRITE, rows)

    def _objects_of(self, records: Sequence[UpdateRecord]) -> Iterator[tuple[UpdateRecord, int]]:
        """Yield each record with the object that it is about."""
        owners = self._owners([one.values["diaSourceId"] for one in records if one.kind == WITHDRAW])
        for record in records:
            if "diaObjectId" in record.values:
                yield record, record.values["diaObjectId"]
            elif (owner := owners.get(record.values["diaSourceId"])) is not None:
                yield record, owner

    def _owners(self, diaSourceId: Sequence[int]) -> dict[int, int]:
        """Return the object of each of these sources that has one."""
        asked = set(diaSourceId)
        partitions = {row[1:] for row in self._connection.read_in(_MAP, sorted(asked))}
        rows = self._rows.in_partitions("DiaSource", partitions, ("diaSourceId", "diaObjectId"))
        return {identifier: owner for identifier, owner in rows if identifier in asked and owner is not None}

    def _places(self, diaObjectId: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return tile and cell of each of these objects that is stored."""
        rows = self._connection.read_in(_POSITIONS, diaObjectId)
        if not rows:
            return {}
        ids, ra, dec = zip(*rows, strict=True)
        tiles, cells = (
            htm_index(np.array(ra), np.array(dec), level) for level in (self._tile_level, self._cell_level)
        )
        return dict(zip(ids, zip(tiles.tolist(), cells.tolist(), strict=True), strict=True))
