"""`ApdbInspection` of databases that speak SQL."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from stream_assoc.core.model.schema import PIXEL_ID
from stream_assoc.core.model.types import BANDS, FloatArray, IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import OUR_VERSION_KEY, tile_level_of
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.reading.inspection import Fault, Find, Part, Placements, Stretch, pixels_of_positions
from stream_assoc.stores.apdb.rows.tables import CHANGED, COUNTER, FURTHER, LEDGER, TILE
from stream_assoc.stores.apdb.sql.compatibility import check_compatible
from stream_assoc.stores.apdb.sql.database import ALL_TABLES
from stream_assoc.stores.apdb.sql.faults import (
    CURRENT_OF_LAST,
    HAS_CURRENT,
    IS_CURRENT,
    LAST,
    NOT_AWAITING,
    OBJECTS,
    Finder,
    Walk,
    last_finders,
    source_finders,
    version_finders,
)
from stream_assoc.stores.apdb.sql.moment import SqlMoment
from stream_assoc.stores.apdb.sql.own_faults import batch_finders, tile_finders

_ROWS_A_STRETCH: Final = 20_000
_GREATEST: Final = 2**63 - 1
_LEAST: Final = -_GREATEST
"""One more is the least of all ids; PostgreSQL reads it, written out, as a number of another type."""

_IN_PYTHON: Final = frozenset({Fault.WRONG_PIXEL_ID})
_IN_PYTHON_OF_OURS: Final = frozenset({Fault.WRONG_STATISTICS, Fault.WRONG_SINGLE_SOURCE_COUNT})
"""What the questions beside `SqlInspection.stretches` are asked for."""


class SqlInspection:
    """`ApdbInspection` in one transaction of an SQL database.

    Parameters
    ----------
    moment : `SqlMoment`
    flag_columns : sequence of `str`
        DiaSource flags any of which makes a source count as flagged.

    Raises
    ------
    ApdbSchemaError
        If there is no APDB, or the tables of this package are of another version.
    """

    def __init__(self, moment: SqlMoment, flag_columns: Sequence[str]) -> None:
        self._moment = moment
        self._columns = {table: tuple(moment.column_names(table)) for table in ALL_TABLES}
        if not self._columns["DiaObject"]:
            raise ApdbSchemaError(
                "the database that apdb.url names holds no APDB: there is no table DiaObject (apdb.namespace?)"
            )
        partition = self._partition()
        self._is_ours = partition is not None
        self._first_batch = self._first_processing() if self._is_ours else 0.0
        self._finders = self._all_finders(partition)
        self.reader = moment.reader(flag_columns)
        self.answers = frozenset(finder.fault for finder in self._finders)
        if self._columns["DiaObjectLast"]:
            self.answers |= _IN_PYTHON
        if self._is_ours:
            self.answers |= _IN_PYTHON_OF_OURS
        self.statistics_columns = frozenset(self._columns["DiaObject"]) | frozenset(self._columns[FURTHER])

    def parts(self) -> list[Part]:
        """See `ApdbInspection.parts`."""
        estimated = self._moment.estimated_rows()
        walks = dict.fromkeys(finder.walk for finder in self._finders)
        return [Part(walk.table, walk.column, estimated.get(walk.table)) for walk in walks]

    def stretches(self, part: Part) -> Iterator[Stretch]:
        """See `ApdbInspection.stretches`."""
        finders = [one for one in self._finders if (one.walk.table, one.walk.column) == (part.table, part.column)]
        for low, high in self._spans(finders[0].walk):
            yield Stretch(_ROWS_A_STRETCH, [find for finder in finders for find in self._finds(finder, low, high)])

    def placements(self) -> Iterator[Placements]:
        """See `ApdbInspection.placements`."""
        for low, high in self._spans(LAST):
            rows = self._in_span(
                f'SELECT l."diaObjectId", l.ra, l.dec, l."pixelId", o."pixelId" FROM {CURRENT_OF_LAST} '
                f'WHERE l."pixelId" BETWEEN :low AND :high AND {HAS_CURRENT}',
                low,
                high,
            )
            ids, ra, dec, pixels, pixels_of_versions = arrays_of(rows, "iddii")
            expected = pixels_of_positions(ra, dec, partial(htm_index, level=PIXEL_ID_LEVEL))
            yield Placements(ids, ra, dec, pixels, pixels_of_versions, expected)

    def single_source_objects(self) -> Iterator[int]:
        """See `ApdbInspection.single_source_objects`."""
        for low, high in self._spans(OBJECTS):
            rows = self._in_span(
                'SELECT count(*) FROM {DiaObject} o WHERE o."diaObjectId" BETWEEN :low AND :high '
                f'AND o."nDiaSources" = 1 AND {IS_CURRENT}',
                low,
                high,
            )
            yield int(rows[0][0])

    def single_source_counter(self) -> int:
        """See `ApdbInspection.single_source_counter`."""
        return int(self._one(f"SELECT coalesce(sum(n_single_source), 0) FROM {{{COUNTER}}}"))

    def n_awaiting(self) -> int:
        """See `ApdbInspection.n_awaiting`."""
        return int(self._one(f"SELECT count(*) FROM {{{CHANGED}}} WHERE is_outdated")) if self._is_ours else 0

    def comparable(self, diaObjectId: IntArray) -> IntArray:
        """See `ApdbInspection.comparable`."""
        bands = ", ".join(f"'{band}'" for band in BANDS)
        rows = self._moment.fetch(
            f'SELECT o."diaObjectId" FROM {{DiaObject}} o WHERE o."diaObjectId" IN ({_listed(diaObjectId)}) '
            f'AND {IS_CURRENT} AND o."validityStartMjdTai" >= {self._first_batch!r} AND {NOT_AWAITING} '
            'AND NOT EXISTS (SELECT 1 FROM {DiaSource} s WHERE s."diaObjectId" = o."diaObjectId" '
            f'AND s."timeWithdrawnMjdTai" IS NULL AND (s.band IS NULL OR s.band NOT IN ({bands})))',
        )
        return np.unique(np.array([identifier for (identifier,) in rows], np.int64))

    def stored_statistics(self, diaObjectId: IntArray, columns: Sequence[str]) -> FloatArray:
        """See `ApdbInspection.stored_statistics`."""
        of_version = frozenset(self._columns["DiaObject"])
        names = ", ".join(f'{"o" if name in of_version else "f"}."{name}"' for name in columns)
        rows = self._moment.fetch(
            f'SELECT o."diaObjectId", {names} FROM {{DiaObject}} o LEFT JOIN {{{FURTHER}}} f '
            'ON f."diaObjectId" = o."diaObjectId" AND f."validityStartMjdTai" = o."validityStartMjdTai" '
            f'WHERE o."diaObjectId" IN ({_listed(diaObjectId)}) AND {IS_CURRENT}',
        )
        statistics = np.full((len(diaObjectId), len(columns)), np.nan)
        if rows:
            places = np.searchsorted(diaObjectId, np.array([row[0] for row in rows], np.int64))
            statistics[places] = np.array([row[1:] for row in rows], np.float64)
        return statistics

    def _partition(self) -> int | None:
        """Return the level of the tiles, or `None` if this package has no tables here."""
        has_notes = bool(self._columns["metadata"])
        notes: dict[str, str] = dict(self._moment.fetch("SELECT name, value FROM {metadata}") if has_notes else ())
        if OUR_VERSION_KEY not in notes:
            return None
        report = check_compatible(notes, [table for table, columns in self._columns.items() if columns])
        return tile_level_of(report.partition)

    def _first_processing(self) -> float:
        first = self._one(f'SELECT min("timeProcessedMjdTai") FROM {{{LEDGER}}}')
        # In an empty ledger nothing is later.
        return 1e300 if first is None else float(first)

    def _all_finders(self, tile_level: int | None) -> tuple[Finder, ...]:
        finders = version_finders(has_ledger=self._is_ours) + source_finders(has_notes=self._is_ours)
        last = self._columns["DiaObjectLast"]
        if last:
            both = [name for name in last if name in self._columns["DiaObject"] and name != PIXEL_ID.name]
            finders += last_finders(both)
        if tile_level is not None:
            finders += tile_finders(self._tile_levels(tile_level), self._first_batch)
            finders += batch_finders(self._first_batch)
        return finders

    def _tile_levels(self, now: int) -> list[int]:
        """Return the levels of all tiles that have a version, that of the partition in force first."""
        others = [level for level in range(PIXEL_ID_LEVEL + 1) if level != now and self._has_tiles_of(level)]
        return [now, *others]

    def _has_tiles_of(self, level: int) -> bool:
        first = 8 << 2 * level
        statement = f"SELECT 1 FROM {{{TILE}}} WHERE tile BETWEEN {first} AND {2 * first - 1} LIMIT 1"
        return bool(self._moment.fetch(statement))

    def _spans(self, walk: Walk) -> Iterator[tuple[int, int]]:
        """Yield the first and the last key of stretches of some ten thousand rows that together hold all keys.

        All rows of a key are in one stretch.
        """
        low = _LEAST
        while low <= _GREATEST:
            rows = self._moment.fetch(
                f'SELECT "{walk.column}" FROM {{{walk.table}}} WHERE "{walk.column}" >= {low} '
                f'ORDER BY "{walk.column}" LIMIT 1 OFFSET {_ROWS_A_STRETCH - 1}'
            )
            high = rows[0][0] if rows else _GREATEST
            yield low, -1 if walk.zero_is_none and high == 0 else high
            low = high + 1

    def _finds(self, finder: Finder, low: int, high: int) -> Iterator[Find]:
        n_keys = len(finder.keys)
        for row in self._in_span(finder.statement, low, high):
            key = dict(zip(finder.keys, row[:n_keys], strict=True))
            yield Find(finder.fault, key, dict(zip(finder.values, row[n_keys:], strict=True)))

    def _in_span(self, statement: str, low: int, high: int) -> list[Row]:
        return self._moment.fetch(statement.replace(":low", str(low)).replace(":high", str(high)))

    def _one(self, statement: str) -> Any:  # noqa: ANN401 - whatever the database holds
        ((value,),) = self._moment.fetch(statement)
        return value


def _listed(ids: IntArray) -> str:
    """Return ids as constants; a list that is bound the planner takes for a table, and may begin with the other."""
    return ", ".join(map(str, ids.tolist())) or "NULL"
