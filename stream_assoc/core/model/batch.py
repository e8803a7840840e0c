"""One visit and detector: the unit of work, of the ledger and of every promise."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.positions import has_position, with_wrapped_ra, wrapped_ra
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import FloatArray, IntArray

VISIT_COLUMNS: Final = ("visit", "detector", "band", "midpointMjdTai", "exposureTime")
"""DiaSource columns that are one value a batch; the message carries them once, not once a row."""

ASSIGNED_COLUMNS: Final = (
    "diaObjectId",
    "ssObjectReassocTimeMjdTai",
    "timeProcessedMjdTai",
    "timeWithdrawnMjdTai",
)
"""DiaSource columns that association itself decides; a message cannot set them."""


def measured_columns() -> tuple[str, ...]:
    """Return the DiaSource columns that a producer fills, in schema order: what it measures, and ``ssObjectId``.

    A producer that knows a moving object says so there; see `Batch.ssObjectId`.
    """
    excluded = {*VISIT_COLUMNS, *ASSIGNED_COLUMNS}
    return tuple(name for name in apdb_table("DiaSource").names if name not in excluded)


class BatchId(NamedTuple):
    """Names a batch: its visit and detector, as in Rubin's ``containsVisitDetector``."""

    visit: int
    detector: int


class BatchRevision(NamedTuple):
    """Names one processing of a batch: 0 the first, and one more each time it is re-processed."""

    visit: int
    detector: int
    revision: int


_REVISION: Final = struct.Struct(">qhh")


def pack_revisions(revisions: Iterable[BatchRevision]) -> bytes:
    """Return these as bytes, 12 for each, in order.

    Examples
    --------
    >>> unpack_revisions(pack_revisions([BatchRevision(7, 94, 0)]))
    (BatchRevision(visit=7, detector=94, revision=0),)
    """
    return b"".join(_REVISION.pack(*revision) for revision in revisions)


def unpack_revisions(packed: bytes) -> tuple[BatchRevision, ...]:
    """Return what `pack_revisions` packed.

    Raises
    ------
    ValueError
        If the bytes are cut short.
    """
    if len(packed) % _REVISION.size:
        raise ValueError(f"{len(packed)} bytes are no whole number of batches, {_REVISION.size} bytes each")
    return tuple(BatchRevision(*row) for row in _REVISION.iter_unpack(packed))


@dataclass(frozen=True, slots=True)
class SolarSystemObjects:
    """Predicted positions of known solar-system objects at the visit's midpoint.

    Attributes
    ----------
    ssObjectId : `numpy.ndarray` [int64], shape (n,)
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        Degrees; ra in [0, 360), whatever turn it is given in.
    """

    ssObjectId: IntArray
    ra: FloatArray
    dec: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ra", wrapped_ra(self.ra))

    @classmethod
    def none(cls) -> "SolarSystemObjects":
        """Return the empty set."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))

    def __len__(self) -> int:
        return len(self.ssObjectId)

    def usable(self) -> "SolarSystemObjects":
        """Return the predictions that can be matched, in their order.

        Left out are those without a positive ssObjectId (Rubin's 0 is "none"),
        those without a position, copies of a row, and every row of an object
        that is listed at different positions: nothing tells which is right.
        """
        known = np.flatnonzero((self.ssObjectId > 0) & has_position(self.ra, self.dec))
        order = known[np.lexsort((self.dec[known], self.ra[known], self.ssObjectId[known]))]
        ids, ra, dec = self.ssObjectId[order], self.ra[order], self.dec[order]
        same_object = np.diff(ids) == 0
        if not same_object.any():
            return self if len(known) == len(self) else self._take(known)
        copies = np.concatenate([[False], same_object & (np.diff(ra) == 0) & (np.diff(dec) == 0)])
        single, counts = np.unique(ids[~copies], return_counts=True)
        kept = order[~copies & np.isin(ids, single[counts == 1])]
        return self._take(np.sort(kept))

    def without(self, ids: IntArray) -> "SolarSystemObjects":
        """Return the predictions of other objects than these, in their order."""
        others = ~np.isin(self.ssObjectId, ids)
        return self if others.all() else self._take(np.flatnonzero(others))

    def _take(self, rows: IntArray) -> "SolarSystemObjects":
        return SolarSystemObjects(self.ssObjectId[rows], self.ra[rows], self.dec[rows])


@dataclass(frozen=True, slots=True)
class ImageUris:
    """Where the images of a batch are, for forced photometry and cutouts; each may be missing."""

    difference: str | None = None
    science: str | None = None
    template: str | None = None

    @property
    def named(self) -> bool:
        """Whether there is any that forced photometry measures on."""
        return self.difference is not None or self.science is not None


@dataclass(frozen=True, slots=True)
class Observation:
    """What the message of a batch says of its visit, and its alerts have in common.

    Attributes
    ----------
    reason : `str` or `None`
        Why the visit was taken, as the scheduler says it.
    target : `str` or `None`
        What was pointed at.
    """

    reason: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The DIASources of one visit and detector, as its message tells them.

    Attributes
    ----------
    id : `BatchId`
        Visit and detector.
    band : `str`
        One of `~stream_assoc.core.model.types.BANDS`.
    midpointMjdTai : `float`
        Middle of the exposure, MJD TAI.
    exposureTime : `float` or `None`
        Seconds.
    footprint : `numpy.ndarray` [float64], shape (k, 2)
        Vertices (ra, dec) in degrees of the detector's convex outline, k >= 3.
    diaSources : `pyarrow.RecordBatch`
        One row a source, the columns of `measured_columns` in their Rubin types;
        ra in [0, 360), whatever turn it is given in.
    solar_system_objects : `SolarSystemObjects`
        Known moving objects expected here.
    images : `ImageUris`
        Images to force-photometer and to cut stamps from, where the producer names them.
    observation : `Observation`
        For subscribers of alerts; nothing here depends on it.
    digest : `bytes`
        SHA-256 of the message's payload. It tells a redelivery (same digest)
        from a batch that reuses a (visit, detector) with other content.
    """

    id: BatchId
    band: str
    midpointMjdTai: float
    exposureTime: float | None
    footprint: FloatArray
    diaSources: pa.RecordBatch
    digest: bytes
    solar_system_objects: SolarSystemObjects = field(default_factory=SolarSystemObjects.none)
    images: ImageUris = field(default_factory=ImageUris)
    observation: Observation = field(default_factory=Observation)

    def __post_init__(self) -> None:
        object.__setattr__(self, "diaSources", with_wrapped_ra(self.diaSources))

    def __len__(self) -> int:
        return int(self.diaSources.num_rows)

    def column(self, name: str) -> FloatArray:
        """Return a numeric column as float64, nulls as NaN.

        For measured quantities only: an identifier must be read from
        `diaSources` itself, because it does not fit in a float.
        """
        values = self.diaSources.column(name)
        if not pa.types.is_floating(values.type):
            values = values.cast(pa.float64())
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)

    @property
    def diaSourceId(self) -> IntArray:
        """Identifiers of the sources, int64, shape (n,)."""
        return np.asarray(self.diaSources.column("diaSourceId").to_numpy(zero_copy_only=False), dtype=np.int64)

    @property
    def ssObjectId(self) -> IntArray:
        """The solar-system object that its producer says each source is, int64, shape (n,); 0 for none."""
        ids = self.diaSources.column("ssObjectId")
        return np.asarray(pc.fill_null(ids, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
