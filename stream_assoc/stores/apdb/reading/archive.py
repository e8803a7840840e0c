"""The questions one can ask an APDB."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.stores.apdb.reading.exceptions import AnswerTooLargeError, NotInArchiveError
from stream_assoc.stores.apdb.reading.port import ReadOnlyDatabase, Row
from stream_assoc.stores.apdb.reading.tables import table_of
from stream_assoc.stores.apdb.sql.rows import entries_by_batch, ledger_entry, pixel_ranges
from stream_assoc.stores.apdb.sql.statements import COUNTER, LEDGER, LEDGER_COLUMNS, POSITION_COLUMNS, TILE, quoted

_POSITIONS: Final = POSITION_COLUMNS[1:]
_DTYPES: Final = (np.int64, np.float64, np.float64, np.float32, np.float32, np.float64, np.int32)
_SEARCH_ROWS: Final = 20_000
"""Most objects looked at in one cone; one that holds more is narrowed."""
_NARROWER: Final = 3.0
_LEAST_RADIUS_ARCSEC: Final = 0.1
_RANGES_A_QUERY: Final = 500
_MAX_ID: Final = 2**63 - 1
_REVISIONS: Final = 1000

MAX_ROWS: Final = 500_000
"""Most rows of any answer."""
_DEEPEST_CONE_LEVEL: Final = 16


@dataclass(frozen=True, slots=True)
class Overview:
    """How much there is.

    Attributes
    ----------
    n_objects, n_object_versions, n_sources, n_forced_sources : `int`
        About; see `ReadOnlyDatabase.estimated_rows`.
    n_single_source : `int`
        Objects with exactly one source; exact.
    last_processed : `float` or `None`
        Time of the latest version of any object, MJD TAI.
    """

    n_objects: int
    n_object_versions: int
    n_sources: int
    n_forced_sources: int
    n_single_source: int
    last_processed: float | None


@dataclass(frozen=True, slots=True)
class Nearby:
    """The current objects around a position, the nearest first.

    Attributes
    ----------
    objects : `ObjectPositions`
    separation_arcsec : `numpy.ndarray` [float64], shape (n,)
    is_complete : `bool`
        Whether these are all; else there are more than were asked for.
    """

    objects: ObjectPositions
    separation_arcsec: FloatArray
    is_complete: bool


class Archive:
    """Reads an APDB. Every answer is bounded, so that none takes long however much is stored.

    A ``limit`` may be `MAX_ROWS` at most. What an id beyond 64 bits asks for raises `NotInArchiveError`.

    Parameters
    ----------
    database : `ReadOnlyDatabase`
        Where the rows are. Its errors come through.
    """

    def __init__(self, database: ReadOnlyDatabase) -> None:
        self._database = database

    def overview(self) -> Overview:
        """Return how much there is, within milliseconds."""
        rows = self._database.estimated_rows()
        ((single,),) = self._database.fetch(f"SELECT coalesce(sum(n_single_source), 0) FROM {{{COUNTER}}}")
        ((last,),) = self._database.fetch('SELECT max("validityStartMjdTai") FROM {DiaObject}')
        return Overview(
            n_objects=rows["DiaObjectLast"],
            n_object_versions=rows["DiaObject"],
            n_sources=rows["DiaSource"],
            n_forced_sources=rows["DiaForcedSource"],
            n_single_source=int(single),
            last_processed=last,
        )

    def versions(self, diaObjectId: int, limit: int = 1000) -> pa.Table:
        """Return the versions of an object, every column of DiaObject, the latest first."""
        return self._select(
            "DiaObject",
            'WHERE "diaObjectId" = ? ORDER BY "validityStartMjdTai" DESC LIMIT ?',
            (diaObjectId, _checked(limit)),
        )

    def first_version(self, diaObjectId: int) -> float | None:
        """Return when an object came into being, MJD TAI; `None` if it never did."""
        ((first,),) = self._fetch(
            'SELECT min("validityStartMjdTai") FROM {DiaObject} WHERE "diaObjectId" = ?', (diaObjectId,)
        )
        return None if first is None else float(first)

    def recent_objects(self, limit: int = 500) -> pa.Table:
        """Return the current versions that were made last, every column of DiaObject, the latest first."""
        return self._select(
            "DiaObject",
            'WHERE "validityEndMjdTai" IS NULL ORDER BY "validityStartMjdTai" DESC LIMIT ?',
            (_checked(limit),),
        )

    def near(self, ra: float, dec: float, radius_deg: float, limit: int = 1000) -> Nearby:
        """Return the current objects within a circle.

        Parameters
        ----------
        ra, dec : `float`
            Centre, degrees.
        radius_deg : `float`
            Radius, degrees, below 90.
        limit : `int`, optional
            Most objects returned, the nearest ones.
        """
        radius_arcsec = 3600.0 * radius_deg
        _checked(limit)
        is_narrowed = False
        while True:
            rows = self._database.fetch(
                f"SELECT {quoted(_POSITIONS, 'o.')} FROM ({self._database.ranges}) r CROSS JOIN {{DiaObjectLast}} o "
                'WHERE o."pixelId" BETWEEN r.low AND r.high LIMIT ?',
                (_json(_cone([ra], [dec], radius_arcsec)), _SEARCH_ROWS),
            )
            if len(rows) < _SEARCH_ROWS or radius_arcsec < _LEAST_RADIUS_ARCSEC:
                break
            # Those read are any of the many, and the nearest may not be among them.
            radius_arcsec /= _NARROWER
            is_narrowed = True
        found = _positions(rows)
        separation = separation_arcsec(ra, dec, found.ra, found.dec)
        order = np.argsort(separation, kind="stable")
        order = order[separation[order] <= radius_arcsec]
        is_complete = not is_narrowed and len(order) <= limit
        return Nearby(found.take(order[:limit]), separation[order[:limit]], is_complete)

    def sky_before(
        self, ra: FloatArray, dec: FloatArray, radius_arcsec: float, time: float, limit: int = MAX_ROWS
    ) -> ObjectPositions:
        """Return the objects around some positions as they were just before a time.

        Parameters
        ----------
        ra, dec : `numpy.ndarray` [float64], shape (n,)
            Finite degrees.
        radius_arcsec : `float`
            How far around; a few more objects outside of it may be among them.
        time : `float`
            MJD TAI. A version made at this very time does not count, one that
            it ended does.
        limit : `int`, optional
            Most objects.

        Returns
        -------
        objects : `ObjectPositions`
            Ascending by diaObjectId.

        Raises
        ------
        AnswerTooLargeError
            If there are more.
        """
        if not len(ra):
            return ObjectPositions.empty()
        rows: list[Row] = []
        for ranges in _chunks(_cone(ra, dec, radius_arcsec)):
            rows += self._fetch(
                f"SELECT {quoted(_POSITIONS, 'o.')} FROM ({self._database.ranges}) r CROSS JOIN {{DiaObject}} o "
                'WHERE o."pixelId" BETWEEN r.low AND r.high AND o."validityStartMjdTai" < ? '
                'AND (o."validityEndMjdTai" IS NULL OR o."validityEndMjdTai" >= ?) LIMIT ?',
                (_json(ranges), time, time, _checked(limit) + 1 - len(rows)),
            )
            if len(rows) > limit:
                raise AnswerTooLargeError(f"more than {limit:,} objects lie around the positions asked for")
        found = _positions(rows)
        return found.take(np.argsort(found.diaObjectId, kind="stable"))

    def source(self, diaSourceId: int) -> pa.Table:
        """Return a source, every column of DiaSource; no row if there is none."""
        return self._select("DiaSource", 'WHERE "diaSourceId" = ?', (diaSourceId,))

    def sources_of_objects(
        self, diaObjectId: IntArray, limit: int = 10_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Return the sources of some objects, withdrawn ones too, in the order of their objects and of processing.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            The objects.
        limit : `int`, optional
            Most sources returned.
        columns : sequence of `str`, optional
            Columns of DiaSource; every one by default.
        """
        return self._select(
            "DiaSource",
            f'WHERE "diaObjectId" IN ({self._database.numbers}) '
            'ORDER BY "diaObjectId", "timeProcessedMjdTai", "diaSourceId" LIMIT ?',
            (_json(np.unique(diaObjectId)), _checked(limit)),
            columns,
        )

    def forced_sources(self, diaObjectId: int, limit: int = 10_000, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the forced sources of an object, withdrawn ones too, by visit and detector."""
        return self._select(
            "DiaForcedSource",
            'WHERE "diaObjectId" = ? ORDER BY "diaObjectId", visit, detector LIMIT ?',
            (diaObjectId, _checked(limit)),
            columns,
        )

    def sources_of_batch(
        self,
        batch: BatchId,
        time: float | None = None,
        limit: int = 100_000,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the stored sources of a visit and detector, ascending by id.

        Parameters
        ----------
        batch : `BatchId`
            Visit and detector.
        time : `float`, optional
            Only those processed at this time, withdrawn or not; else those that count now.
        limit : `int`, optional
            Most sources returned.
        columns : sequence of `str`, optional
            Columns of DiaSource; every one by default.
        """
        chosen = '"timeWithdrawnMjdTai" IS NULL' if time is None else '"timeProcessedMjdTai" = ?'
        parameters = (*batch, _checked(limit)) if time is None else (*batch, time, _checked(limit))
        return self._select(
            "DiaSource",
            f'WHERE visit = ? AND detector = ? AND {chosen} ORDER BY "diaSourceId" LIMIT ?',
            parameters,
            columns,
        )

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        """Return the ledger entries of a visit and detector by ascending revision, of very many the last."""
        rows = self._fetch(
            f"SELECT {quoted(LEDGER_COLUMNS)} FROM {{{LEDGER}}} WHERE visit = ? AND detector = ? "
            "ORDER BY revision DESC LIMIT ?",
            (*batch, _REVISIONS),
        )
        return entries_by_batch(rows).get(batch, ())

    def batches_of_visit(self, visit: int, limit: int = 1000) -> list[LedgerEntry]:
        """Return the ledger entries of a visit by ascending detector and revision."""
        rows = self._fetch(
            f"SELECT {quoted(LEDGER_COLUMNS)} FROM {{{LEDGER}}} WHERE visit = ? ORDER BY detector, revision LIMIT ?",
            (visit, _checked(limit)),
        )
        return [ledger_entry(row) for row in rows]

    def recent_batches(self, limit: int = 100) -> list[LedgerEntry]:
        """Return the ledger entries of the highest visits, highest first: the key orders by visit, not by time."""
        rows = self._fetch(
            f"SELECT {quoted(LEDGER_COLUMNS)} FROM {{{LEDGER}}} "
            "ORDER BY visit DESC, detector DESC, revision DESC LIMIT ?",
            (_checked(limit),),
        )
        return [ledger_entry(row) for row in rows]

    def coverage(self, tile_level: int, level: int, limit: int = 40_000) -> tuple[IntArray, IntArray]:
        """Return which trixels of a coarse level any batch has changed, and how often their tiles were.

        Parameters
        ----------
        tile_level : `int`
            Level of the APDB's tiles.
        level : `int`
            Level of the answer, at most ``tile_level``.
        limit : `int`, optional
            Most trixels returned.

        Returns
        -------
        trixels, changes : `numpy.ndarray` [int64], shape (n,)
            Ascending by trixel.
        """
        rows = self._database.fetch(
            f"SELECT tile >> {2 * (tile_level - level)} AS trixel, CAST(sum(version) AS BIGINT) FROM {{{TILE}}} "
            "GROUP BY trixel ORDER BY trixel LIMIT ?",
            (_checked(limit),),
        )
        columns = np.array(rows, np.int64).reshape(-1, 2).T
        return columns[0], columns[1]

    def close(self) -> None:
        """Release every connection."""
        self._database.close()

    def _select(
        self, table: str, rest: str, parameters: Sequence[object], columns: Sequence[str] | None = None
    ) -> pa.Table:
        columns = columns or apdb_table(table).names
        rows = self._fetch(f"SELECT {quoted(columns)} FROM {{{table}}} {rest}", parameters)
        return table_of(table, columns, rows)

    def _fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        for value in parameters:
            if isinstance(value, int) and abs(value) > _MAX_ID:
                raise NotInArchiveError("the APDB holds nothing under an id so large: ids have 64 bits")
        return self._database.fetch(statement, parameters)


def _checked(limit: int) -> int:
    if not 0 <= limit <= MAX_ROWS:
        raise ValueError(f"a limit of {limit:,} rows is beyond the {MAX_ROWS:,} that are read at once")
    return limit


def _positions(rows: Sequence[Row]) -> ObjectPositions:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_DTYPES)
    return ObjectPositions(*(np.array(column, dtype) for column, dtype in zip(columns, _DTYPES, strict=True)))


def _cone(ra: Sequence[float] | FloatArray, dec: Sequence[float] | FloatArray, radius_arcsec: float) -> IntArray:
    """Return the ``pixelId`` ranges that circles touch, by trixels about as large as a circle."""
    octant_arcsec = 90.0 * 3600.0
    level = int(math.log2(octant_arcsec / max(radius_arcsec, 1e-3)))
    level = min(max(level, 0), _DEEPEST_CONE_LEVEL, PIXEL_ID_LEVEL)
    return pixel_ranges(trixels_near(ra, dec, radius_arcsec, level), level)


def _chunks(ranges: IntArray) -> list[IntArray]:
    return np.array_split(ranges, range(_RANGES_A_QUERY, len(ranges), _RANGES_A_QUERY))


def _json(values: IntArray) -> str:
    return json.dumps(values.tolist())
