"""The questions by which a whole APDB is inspected, all answered from one moment of it if it has moments.

`Fault` names every way in which the tables may contradict each other.
`stream_assoc.tools.inspection` says what each means and what to do about it;
a backend finds them: `stream_assoc.stores.apdb.sql.inspection`, or
`stream_assoc.stores.apdb.cassandra.inspection`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.pipeline.ports.reader import SessionReader

Value: TypeAlias = int | float | str | None
Pixels: TypeAlias = Callable[[FloatArray, FloatArray], IntArray]

NOWHERE: Final = -1
"""In place of a pixel where there is no position."""


class Fault(StrEnum):
    """The names of faults; they never change, since programs read them."""

    TWO_OPEN_VERSIONS = "two_open_versions"
    NEGATIVE_INTERVAL = "negative_interval"
    OVERLAPPING_VERSIONS = "overlapping_versions"
    GAP_BETWEEN_VERSIONS = "gap_between_versions"
    OPEN_VERSION_NOT_IN_LAST = "open_version_not_in_last"
    LAST_WITHOUT_OPEN_VERSION = "last_without_open_version"
    LAST_DIFFERS_FROM_VERSION = "last_differs_from_version"
    WRONG_PIXEL_ID = "wrong_pixel_id"
    WRONG_N_DIA_SOURCES = "wrong_n_dia_sources"
    SOURCE_WITHOUT_OBJECT = "source_without_object"
    SOURCE_OF_CLOSED_OBJECT = "source_of_closed_object"
    UNKNOWN_BAND = "unknown_band"
    FORCED_SOURCE_WITHOUT_OBJECT = "forced_source_without_object"
    WRONG_STATISTICS = "wrong_statistics"
    STATISTICS_WITHOUT_VERSION = "statistics_without_version"
    TILE_WITHOUT_VERSION = "tile_without_version"
    TILE_OF_UNKNOWN_BATCH = "tile_of_unknown_batch"
    WRONG_SINGLE_SOURCE_COUNT = "wrong_single_source_count"
    BATCH_NOT_IN_LEDGER = "batch_not_in_ledger"
    WRONG_N_STORED = "wrong_n_stored"
    MISSING_REVISION = "missing_revision"
    OUTBOX_ENTRY_NOT_IN_LEDGER = "outbox_entry_not_in_ledger"


@dataclass(frozen=True, slots=True)
class Find:
    """One fault in one place.

    Attributes
    ----------
    fault : `Fault`
    key : mapping
        The ids of the row that is wrong, by column; empty where the whole database is.
    values : mapping
        What shows that it is wrong, by what it is.
    """

    fault: Fault
    key: Mapping[str, int]
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A table to be read in the order of one of its columns.

    Attributes
    ----------
    table, column : `str`
    n_rows : `int` or `None`
        About how many rows it has, where that is known.
    """

    table: str
    column: str
    n_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the next rows of a part show.

    Attributes
    ----------
    n_rows : `int`
        About how many rows they are.
    finds : sequence of `Find`
    """

    n_rows: int
    finds: Sequence[Find]


@dataclass(frozen=True, slots=True)
class Placements:
    """Where some rows of DiaObjectLast are, and under which pixels they and their versions are kept.

    Attributes
    ----------
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees, those of DiaObjectLast.
    pixelId, pixel_of_version : `numpy.ndarray` [int64], shape (n,)
        In DiaObjectLast, and in the open version in DiaObject; on Cassandra ``apdb_part``.
    pixel_of_position : `numpy.ndarray` [int64], shape (n,)
        Where they have to be; `NOWHERE` if ra and dec are no position.
    """

    diaObjectId: IntArray
    ra: FloatArray
    dec: FloatArray
    pixelId: IntArray
    pixel_of_version: IntArray
    pixel_of_position: IntArray

    def __len__(self) -> int:
        return len(self.diaObjectId)


def pixels_of_positions(ra: FloatArray, dec: FloatArray, pixels: Pixels) -> IntArray:
    """Return the pixel of each position, and `NOWHERE` for what is none.

    Parameters
    ----------
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees.
    pixels : callable
        Returns the pixels of positions.
    """
    exists: BoolArray = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    found = np.full(len(ra), NOWHERE, np.int64)
    found[exists] = pixels(ra[exists], dec[exists])
    return found


class ApdbInspection(Protocol):
    """An APDB as it was at one moment, however long it is read and whatever is written meanwhile.

    Cassandra has no such moment: there nothing may be written meanwhile.

    Nothing here changes it. Tables are read some ten thousand rows at a time,
    in the order of a key.

    Attributes
    ----------
    answers : `frozenset` [`Fault`]
        The faults that can be looked for: an APDB that another program made
        lacks tables that the others are about.
    reader : `SessionReader`
        Reads histories of objects of that moment.
    statistics_columns : `frozenset` [`str`]
        The columns that statistics are stored in.

    Raises
    ------
    ApdbUnavailableError
        If the database is away.
    ApdbSchemaError
        If it lacks a column.
    """

    answers: frozenset[Fault]
    reader: SessionReader
    statistics_columns: frozenset[str]

    def parts(self) -> Sequence[Part]:
        """Return what there is to read."""

    def stretches(self, part: Part) -> Iterator[Stretch]:
        """Read a part from end to end, and tell which rows contradict others."""

    def placements(self) -> Iterator[Placements]:
        """Return every row of DiaObjectLast that has an open version, some thousands at a time."""

    def single_source_objects(self) -> Iterator[int]:
        """Count the open versions with exactly one source, some thousands of rows at a time."""

    def single_source_counter(self) -> int:
        """Return what the counter of these says."""

    def n_awaiting(self) -> int:
        """Return how many objects await the next batch over their tile, because another program changed them."""

    def comparable(self, diaObjectId: IntArray) -> IntArray:
        """Return those of these objects whose statistics must equal a fold of their sources.

        Left out are objects that await their next batch, versions that were
        stored before the first batch in the ledger, by another program, and
        objects with a source of an unknown band, which cannot be folded.
        """

    def stored_statistics(self, diaObjectId: IntArray, columns: Sequence[str]) -> FloatArray:
        """Return statistics of the open versions of these objects.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            Ascending.
        columns : sequence of `str`
            Some of `statistics_columns`.

        Returns
        -------
        statistics : `numpy.ndarray` [float64], shape (n, n_columns)
            NaN for NULL, and where there is no row.
        """
