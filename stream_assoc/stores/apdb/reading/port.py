"""The questions that an APDB answers outside of a session.

Each question is a method with typed parameters, so that any database can
answer it. `stream_assoc.stores.apdb.sql.reading` answers for the SQL backends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

from stream_assoc.core.model.alerts import AsOf
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.exceptions import StreamAssocError

MAX_ROWS: Final = 500_000
"""The largest ``limit`` of any question."""


class ReadingError(StreamAssocError):
    """Base of the errors that a question causes. A fault of the database raises an `ApdbError`."""


class NotStoredError(ReadingError):
    """The APDB holds no such object, source or batch."""


class AnswerTooLargeError(ReadingError):
    """The answer has more rows than are read at once."""


@dataclass(frozen=True, slots=True)
class Overview:
    """How much an APDB holds.

    Attributes
    ----------
    n_objects, n_object_versions, n_sources, n_forced_sources : `int`
        Estimates, from statistics and keys.
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
    """The current objects around a position, nearest first.

    Attributes
    ----------
    objects : `ObjectPositions`
    separation_arcsec : `numpy.ndarray` [float64], shape (n,)
    is_complete : `bool`
        Whether these are all the objects; otherwise there are more than the limit.
    """

    objects: ObjectPositions
    separation_arcsec: FloatArray
    is_complete: bool


class ApdbReader(Protocol):
    """Reads an APDB. Threads may share it.

    Lookups (the first group of methods) are bounded: they take a ``limit`` of
    `MAX_ROWS` at most and stay fast however much is stored. The methods that
    begin with ``all_`` and `objects_observed_since` read whole columns, for
    reports and comparisons, and take as long as the table is large.

    Tables are in Rubin's types, with NULL as null. ``columns`` selects columns
    of the table; the default is every column that Rubin's schema has.

    Raises
    ------
    ValueError
        If a limit is out of range.
    NotStoredError
        If an id does not fit into 64 bits.
    ApdbUnavailableError
        If the database is away, or takes too long.
    ApdbSchemaError
        If the database lacks a table or a column.
    """

    def overview(self) -> Overview:
        """Return how much is stored, within milliseconds."""

    def seconds_behind(self) -> float | None:
        """Return how long ago the primary had what is read here; `None` if no standby is read.

        It is infinite where a standby does not know, and 0 where it has all that it knows of: one that the network
        has cut off knows that only after a while (``wal_receiver_timeout``, 60 s).
        """

    def versions(self, diaObjectId: int, limit: int = 1000) -> pa.Table:
        """Return the versions of an object, every column of DiaObject, latest first."""

    def first_version(self, diaObjectId: int) -> float | None:
        """Return when an object was created, MJD TAI; `None` if there is no such object."""

    def recent_objects(self, limit: int = 500) -> pa.Table:
        """Return the current object versions that were made last, every column of DiaObject, latest first."""

    def near(self, ra: float, dec: float, radius_deg: float, limit: int = 1000) -> Nearby:
        """Return the current objects within a circle.

        Parameters
        ----------
        ra, dec : `float`
            Centre, degrees.
        radius_deg : `float`
            Radius, degrees, below 90.
        limit : `int`, optional
            The most objects to return; the nearest are kept.
        """

    def sky_before(
        self, ra: FloatArray, dec: FloatArray, radius_arcsec: float, time: float, limit: int = MAX_ROWS
    ) -> ObjectPositions:
        """Return the objects around some positions as they were just before a time.

        Parameters
        ----------
        ra, dec : `numpy.ndarray` [float64], shape (n,)
            Finite degrees.
        radius_arcsec : `float`
            Radius around each position. The answer may also hold a few objects outside of it.
        time : `float`
            MJD TAI. A version that begins at this very time is left out; one
            that ends then is included.
        limit : `int`, optional
            The most objects to return.

        Returns
        -------
        objects : `ObjectPositions`
            Ascending by diaObjectId.

        Raises
        ------
        AnswerTooLargeError
            If there are more objects than the limit.
        """

    def source(self, diaSourceId: int) -> pa.Table:
        """Return a source, every column of DiaSource; no row if there is none."""

    def sources_of_objects(
        self, diaObjectId: IntArray, limit: int = 10_000, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Return the sources of some objects, withdrawn ones too.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
        limit : `int`, optional
            The most sources to return.
        columns : sequence of `str`, optional

        Returns
        -------
        sources : `pyarrow.Table`
            Ascending by diaObjectId, then in the order of processing.
        """

    def forced_sources(self, diaObjectId: int, limit: int = 10_000, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the forced sources of an object, withdrawn ones too, by visit and detector."""

    def versions_made(self, diaObjectId: IntArray, time: float) -> pa.Table:
        """Return those versions of some objects that begin at a time, every column of DiaObject, in any order.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
            At most `MAX_ROWS`.
        time : `float`
            MJD TAI.
        """

    def sources_before(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """Return the sources of some objects that were processed before a time and counted then: whole rows.

        Parameters
        ----------
        diaObjectId : `numpy.ndarray` [int64], shape (n,)
        as_of : `AsOf`
            The time and the span. What has been withdrawn or replaced under its id, or given to another object
            since, is told as it is now.
        limit : `int`, optional
            The most sources to return.

        Returns
        -------
        sources : `pyarrow.Table`
            Ascending by diaObjectId, midpointMjdTai and diaSourceId.
        """

    def forced_sources_until(self, diaObjectId: IntArray, as_of: AsOf, limit: int = MAX_ROWS) -> pa.Table:
        """Return the forced sources of some objects that were processed by a time and counted then: whole rows.

        Ascending by diaObjectId, midpointMjdTai, visit and detector; parameters as for `sources_before`.
        """

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
            Select the sources processed at this time (MJD TAI), withdrawn or
            not. The default selects the sources that count now.
        limit : `int`, optional
            The most sources to return.
        columns : sequence of `str`, optional
        """

    def processings(self, batch: BatchId) -> tuple[LedgerEntry, ...]:
        """Return the ledger entries of a visit and detector by ascending revision; of more than 1000 the last."""

    def batches_of_visit(self, visit: int, limit: int = 1000) -> list[LedgerEntry]:
        """Return the ledger entries of a visit by ascending detector and revision."""

    def recent_batches(self, limit: int = 100) -> list[LedgerEntry]:
        """Return the ledger entries of the highest visits, highest first. The order is by visit, not by time."""

    def coverage(self, tile_level: int, level: int, limit: int = 40_000) -> tuple[IntArray, IntArray]:
        """Return which trixels of a coarse level batches have changed, and how often.

        Parameters
        ----------
        tile_level : `int`
            HTM level of the APDB's tiles.
        level : `int`
            HTM level of the answer, at most ``tile_level``.
        limit : `int`, optional
            The most trixels to return.

        Returns
        -------
        trixels, changes : `numpy.ndarray` [int64], shape (n,)
            Ascending by trixel; the changes are summed over its tiles.
        """

    def all_versions(self, columns: Sequence[str] | None = None, *, only_current: bool = False) -> pa.Table:
        """Return every row of DiaObject, or only the version of each object that has not ended."""

    def all_further_statistics(self) -> pa.Table:
        """Return every row of the statistics that DiaObject has no column for.

        The first columns are ``diaObjectId`` and ``validityStartMjdTai``. There
        are no rows if no plugin computes such statistics, or another pipeline
        made the APDB.
        """

    def all_sources(
        self,
        columns: Sequence[str] | None = None,
        *,
        only_counted: bool = False,
        observed: tuple[float, float] | None = None,
    ) -> pa.Table:
        """Return every source.

        Parameters
        ----------
        columns : sequence of `str`, optional
        only_counted : `bool`
            Leave withdrawn sources out.
        observed : `tuple` [`float`, `float`], optional
            Select the sources with a midpoint (MJD TAI) from the first time,
            inclusive, to the second, exclusive.
        """

    def all_forced_sources(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return every forced source, withdrawn ones too."""

    def objects_observed_since(self, midpointMjdTai: float, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the current objects whose last source is not older than a time, columns of DiaObjectLast."""

    def close(self) -> None:
        """Release every connection."""
