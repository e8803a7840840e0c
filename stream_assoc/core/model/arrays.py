"""Arrays as compiled kernels take them, and ragged ones: pieces of different lengths in one array."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.types import IntArray

_T = TypeVar("_T", bound=np.generic)


def read_only(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return a contiguous view (or copy, where needed) that cannot be written to.

    A compiled kernel is compiled again for every combination of writable and
    read-only arguments; columns from Arrow and from buffers are read-only,
    others are not. Given only read-only ones it is compiled once.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def as_is(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return the array, which a kernel is to write."""
    return array


def offsets_of(lengths: npt.ArrayLike) -> IntArray:
    """Return where pieces of these lengths begin, and the end of the last.

    Parameters
    ----------
    lengths : array-like [int64], shape (n,)

    Returns
    -------
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        Piece ``i`` is ``offsets[i]:offsets[i + 1]``; writable, as kernels expect it.
    """
    sizes = np.asarray(lengths, np.int64)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def rows_of(begins: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of pieces that lie anywhere in an array, piece after piece, and the offsets of those pieces.

    Parameters
    ----------
    begins, lengths : `numpy.ndarray` [int64], shape (n,)
        Piece ``i`` has the rows ``begins[i]:begins[i] + lengths[i]``.

    Returns
    -------
    rows : `numpy.ndarray` [int64], shape (sum of lengths,)
    offsets : `numpy.ndarray` [int64], shape (n + 1,)
        See `offsets_of`.
    """
    offsets = offsets_of(lengths)
    return np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1]), offsets
