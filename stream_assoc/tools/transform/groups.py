"""Rows of one visit and detector as one group, and whether they say the same of it."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.times import SECONDS_PER_DAY
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray

_Number = TypeVar("_Number", np.int64, np.float64)

TIME_TOLERANCE_SECONDS: Final = 1e-3
"""Rows of a group may differ by so much in a time: 20 times what a Julian date in float64 can tell (4e-10 d), and
what text of milliseconds keeps. No detector is read out twice in that time."""

PROCESSING_GAP_SECONDS: Final = 1.0
"""Rows of a visit and detector come from different processings if nothing was processed in between for so long.
A pipeline may note the time of each row; it does not process a detector twice within a second."""

MAX_RADIUS_DEG: Final = 5.0
"""Half the width of the widest group: no detector is wider, and most cameras are narrower."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which rows belong together.

    Attributes
    ----------
    rows : `numpy.ndarray` [int64], shape (n,)
        Rows of the table, those of a group side by side and ascending.
    starts : `numpy.ndarray` [int64], shape (n_groups,)
        Where each group begins in ``rows``.
    """

    rows: IntArray
    starts: IntArray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> IntArray:
        """Rows of each group."""
        return np.diff(self.starts, append=len(self.rows))

    @property
    def heads(self) -> IntArray:
        """First row of each group."""
        return self.rows[self.starts]

    @property
    def labels(self) -> IntArray:
        """Group of each of ``rows``."""
        return np.repeat(np.arange(len(self)), self.counts)

    def medians(self, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Return the lower median of each group: a value that one of its rows has.

        Parameters
        ----------
        values : `numpy.ndarray`
            Of every row of the table.
        """
        ordered = values[self.rows][np.lexsort((values[self.rows], self.labels))]
        medians: npt.NDArray[_Number] = ordered[self.starts + (self.counts - 1) // 2]
        return medians

    def least(self, values: FloatArray) -> FloatArray:
        """Return the least number that each group has, NaN where it has none."""
        return np.fmin.reduceat(values[self.rows], self.starts) if len(self) else np.empty(0)


def groups_of(rows: IntArray, visit: IntArray, detector: IntArray, arrival: FloatArray) -> Groups:
    """Group rows by visit, detector and processing.

    Parameters
    ----------
    rows : `numpy.ndarray` [int64]
        The rows to group, ascending.
    visit, detector : `numpy.ndarray` [int64]
    arrival : `numpy.ndarray` [float64]
        When each row of the table was processed, MJD.

    Returns
    -------
    groups : `Groups`
        By visit, then detector, then time of processing.
    """
    order = rows[np.lexsort((arrival[rows], detector[rows], visit[rows]))]
    same = (np.diff(visit[order]) == 0) & (np.diff(detector[order]) == 0)
    same &= np.diff(arrival[order]) * SECONDS_PER_DAY <= PROCESSING_GAP_SECONDS
    starts = np.flatnonzero(np.concatenate([[True], ~same])) if len(order) else np.empty(0, np.int64)
    labels = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    return Groups(order[np.lexsort((order, labels))], starts)


def disagreeing(groups: Groups, values: npt.NDArray[_Number], tolerance: float) -> BoolArray:
    """Tell which rows do not say of their group what more than half of its rows say.

    Where more than half agree, they agree with the median; so one sort finds
    out. Where no more than half do, all rows of the group are told.

    Parameters
    ----------
    groups : `Groups`
    values : `numpy.ndarray`
        Of every row of the table.
    tolerance : `float`
        Largest difference from the median.

    Returns
    -------
    disagreeing : `numpy.ndarray` [bool]
        Of every row of the table; rows in no group do not.
    """
    agree = np.abs(values[groups.rows] - groups.medians(values)[groups.labels]) <= tolerance
    return _without_majority(groups, agree, len(values))


def far_off(groups: Groups, vectors: FloatArray) -> BoolArray:
    """Tell which rows are more than `MAX_RADIUS_DEG` from most others of their group.

    Parameters
    ----------
    groups : `Groups`
    vectors : `numpy.ndarray` [float64], shape (n_rows, 3)
        Directions of every row of the table.

    Returns
    -------
    far_off : `numpy.ndarray` [bool]
        Of every row of the table; all of a group in which no more than half are near each other.
    """
    centres = np.stack([groups.medians(axis) for axis in vectors.T], axis=1)
    lengths = np.linalg.norm(centres, axis=1)
    cosines = np.sum(vectors[groups.rows] * centres[groups.labels], axis=1)
    with np.errstate(invalid="ignore"):
        near = cosines >= lengths[groups.labels] * np.cos(np.radians(MAX_RADIUS_DEG))
    near &= lengths[groups.labels] > 0.5
    return _without_majority(groups, near, len(vectors))


def replaced(groups: Groups, visit: IntArray, detector: IntArray) -> BoolArray:
    """Tell which groups have a later processing of their visit and detector behind them."""
    heads = groups.heads
    same = (np.diff(visit[heads]) == 0) & (np.diff(detector[heads]) == 0)
    return np.concatenate([same, [False]]) if len(groups) else np.empty(0, np.bool_)


def _without_majority(groups: Groups, agree: BoolArray, n_rows: int) -> BoolArray:
    n_agreeing = np.bincount(groups.labels, agree, len(groups))
    believed = agree & (2 * n_agreeing > groups.counts)[groups.labels]
    told = np.zeros(n_rows, np.bool_)
    told[groups.rows[~believed]] = True
    return told


def repeated_in_group(groups: Groups, ids: IntArray) -> BoolArray:
    """Tell which rows have the identifier of an earlier row of their group."""
    order = np.lexsort((groups.rows, ids[groups.rows], groups.labels))
    rows, labels = groups.rows[order], groups.labels[order]
    again = (np.diff(ids[rows]) == 0) & (np.diff(labels) == 0)
    told = np.zeros(len(ids), np.bool_)
    told[rows[1:][again]] = True
    return told


def of_another_visit(rows: IntArray, ids: IntArray, visit: IntArray, detector: IntArray) -> BoolArray:
    """Tell which rows have an identifier that an earlier row has in another visit or detector.

    Parameters
    ----------
    rows : `numpy.ndarray` [int64]
        The rows to look at, ascending.
    ids, visit, detector : `numpy.ndarray` [int64]
        Of every row of the table.
    """
    told = np.zeros(len(ids), np.bool_)
    if len(rows):
        _, first, run = np.unique(ids[rows], return_index=True, return_inverse=True)
        owner = rows[first][run]
        told[rows] = (visit[rows] != visit[owner]) | (detector[rows] != detector[owner])
    return told
