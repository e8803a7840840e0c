"""Building and growing ragged light curves."""

import numpy as np

from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.states import N_BANDS, LightCurves, SourcePoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import read_only
from stream_assoc.core.statistics.plugin import kernel


def curves_of(points: SourcePoints, owners: IntArray, n_objects: int) -> LightCurves:
    """Sort points into the light curves of their objects and bands.

    Parameters
    ----------
    points : `SourcePoints`
        In order of processing.
    owners : `numpy.ndarray` [int64], shape (n_points,)
        Row of each point's object.
    n_objects : `int`

    Returns
    -------
    curves : `LightCurves`
        ``n_objects * 6`` slots, the order within a slot unchanged.
    """
    slots = owners * N_BANDS + points.band
    order = np.argsort(slots, kind="stable")
    return LightCurves(
        offsets_of(np.bincount(slots, minlength=n_objects * N_BANDS)),
        *(getattr(points, name)[order] for name in LightCurves.COLUMNS),
    )


def append_one_each(curves: LightCurves, points: SourcePoints) -> LightCurves:
    """Append point ``i`` to the light curve of object ``i`` in the point's band.

    Returns
    -------
    curves : `LightCurves`
        New arrays; the ones given are not changed.
    """
    slots = np.arange(len(points), dtype=np.int64) * N_BANDS + points.band
    counts = np.diff(curves.offsets)
    counts[slots] += 1
    offsets = offsets_of(counts)
    columns = (
        _appended(read_only(getattr(curves, name)), curves.offsets, slots, read_only(getattr(points, name)))
        for name in LightCurves.COLUMNS
    )
    return LightCurves(offsets, *columns)


def joined(before: LightCurves, after: LightCurves) -> LightCurves:
    """Return the light curves of the first with those of the second behind them, slot by slot.

    Returns
    -------
    curves : `LightCurves`
        New arrays, unless one of them has no point.
    """
    for curves, other in ((before, after), (after, before)):
        if not other.offsets[-1]:
            return curves
    lengths = np.diff(before.offsets)
    offsets = before.offsets + after.offsets
    old = np.arange(before.offsets[-1]) + np.repeat(after.offsets[:-1], lengths)
    new = np.arange(after.offsets[-1]) + np.repeat(before.offsets[1:], np.diff(after.offsets))
    columns = []
    for name in LightCurves.COLUMNS:
        column = np.empty(offsets[-1])
        column[old], column[new] = getattr(before, name), getattr(after, name)
        columns.append(column)
    return LightCurves(offsets, *columns)


def compilable(points: SourcePoints) -> SourcePoints:
    """Return the points in plain arrays: numba would compile a second time for read-only ones."""
    return SourcePoints(*(np.require(getattr(points, name), requirements=("C", "W")) for name in points.__slots__))


@kernel
def _appended(column: FloatArray, offsets: IntArray, slots: IntArray, new: FloatArray) -> FloatArray:
    """Return the column with each new value behind the points of its slot; the slots ascend."""
    grown = np.empty(len(column) + len(new))
    begin = 0
    for i in range(len(new)):
        end = offsets[slots[i] + 1]
        grown[begin + i : end + i] = column[begin:end]
        grown[end + i] = new[i]
        begin = end
    grown[begin + len(new) :] = column[begin:]
    return grown
