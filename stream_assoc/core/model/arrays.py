"""Arrays as compiled kernels take them."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

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
