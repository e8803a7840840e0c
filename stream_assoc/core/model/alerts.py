"""What an alert holds: a DIASource, its object's version, their history, and the cutouts, in columns.

The alerts of a batch, or of a part of one, are made together: alert ``i`` is source ``i``.
"""

from dataclasses import dataclass

import pyarrow as pa

from stream_assoc.core.model.types import IntArray


@dataclass(frozen=True, slots=True)
class AsOf:
    """The past of objects as a processing has met it.

    Attributes
    ----------
    time : `float`
        That of the processing, MJD TAI. Rows that were withdrawn by then do not count.
    observed_since : `float`
        Rows of this midpoint and later, MJD TAI.
    """

    time: float
    observed_since: float


@dataclass(frozen=True, slots=True)
class AlertRows:
    """The rows of the tables that some alerts hold, in Rubin's types.

    Attributes
    ----------
    sources : `pyarrow.Table`, shape (n,)
        Every column of DiaSource, one row an alert.
    objects : `pyarrow.Table`
        Every column of DiaObject: the versions that the batch made, in any order.
    object_row : `numpy.ndarray` [int64], shape (n,)
        The row of ``objects`` of each alert, -1 for a source that has no object.
    history : `pyarrow.Table`
        Every column of DiaSource: earlier sources of the object, those of one
        alert side by side, in the order of time.
    history_offsets : `numpy.ndarray` [int64], shape (n + 1,)
        Alert ``i`` has rows ``history_offsets[i]:history_offsets[i + 1]``.
    forced : `pyarrow.Table`
        Every column of DiaForcedSource, likewise.
    forced_offsets : `numpy.ndarray` [int64], shape (n + 1,)
    """

    sources: pa.Table
    objects: pa.Table
    object_row: IntArray
    history: pa.Table
    history_offsets: IntArray
    forced: pa.Table
    forced_offsets: IntArray


@dataclass(frozen=True, slots=True)
class Stamps:
    """The cutouts of some alerts, a FITS file each, null where there is none.

    Attributes
    ----------
    difference, science, template : `pyarrow.LargeBinaryArray`, shape (n,)
    """

    difference: pa.LargeBinaryArray
    science: pa.LargeBinaryArray
    template: pa.LargeBinaryArray
