"""What a subscriber is given: one typed record a message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.types import BANDS
from stream_assoc.exceptions import StreamAssocError

_FURTHER: Final = frozenset(column.name for column in further_statistics())


@dataclass(frozen=True, slots=True)
class DiaObjectUpdate:
    """A new version of a DIAObject, or the news that it has ended.

    Attributes
    ----------
    diaObjectId : `int`
    columns : `~collections.abc.Mapping` [`str`, `object`] or `None`
        Every column of Rubin's DiaObject, ``pixelId``, where the daemon
        computes any all `~stream_assoc.core.model.further_statistics`, and what
        its plugins of other packages compute; `None` when a re-processing
        has ended the object (a tombstone of the compacted topic).
        A null stays `None`.
    """

    diaObjectId: int
    columns: Mapping[str, Any] | None

    @property
    def has_ended(self) -> bool:
        """Whether the object exists no more."""
        return self.columns is None

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 - a row holds numbers of several types
        """Return a column by Rubin's name, such as ``g_psfFluxMean``."""
        if self.columns is None:
            raise KeyError(f"{column}: object {self.diaObjectId} has ended and has no columns; look at has_ended")
        if column not in self.columns and column in _FURTHER:
            raise KeyError(
                f"{column}: the daemon computes none of the statistics beyond DiaObject (statistics.plugins)"
            )
        return self.columns[column]

    @property
    def ra(self) -> float:
        """Right ascension, degrees."""
        return float(self["ra"])

    @property
    def dec(self) -> float:
        """Declination, degrees."""
        return float(self["dec"])

    @property
    def nDiaSources(self) -> int:
        """DIASources that belong to it."""
        return int(self["nDiaSources"])

    @property
    def validityStartMjdTai(self) -> float:
        """When this version was made, MJD TAI."""
        return float(self["validityStartMjdTai"])

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands it has a mean flux in, in Rubin's order; none once it has ended."""
        columns = self.columns or {}
        return tuple(band for band in BANDS if columns.get(f"{band}_psfFluxMean") is not None)


@dataclass(frozen=True, slots=True)
class ForcedSource:
    """A flux at a DIAObject on the images of a visit.

    Attributes
    ----------
    columns : `~collections.abc.Mapping` [`str`, `object`]
        Every column of Rubin's DiaForcedSource; a null stays `None`. One that
        a re-processing takes back comes once more, with
        ``timeWithdrawnMjdTai``.
    """

    columns: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 - a row holds numbers of several types
        """Return a column by Rubin's name, such as ``psfFlux``."""
        return self.columns[column]

    @property
    def diaObjectId(self) -> int:
        """The object whose flux it is."""
        return int(self["diaObjectId"])

    @property
    def is_withdrawn(self) -> bool:
        """Whether a re-processing has taken it back: it counts no longer."""
        return self["timeWithdrawnMjdTai"] is not None


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message of an output topic that cannot be read, where it is, and why."""

    position: InputPosition
    error: StreamAssocError

    def __str__(self) -> str:
        place = f"{self.position.topic}[{self.position.partition}]@{self.position.offset}"
        return f"{place} passed over: {self.error}"
