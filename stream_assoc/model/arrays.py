"""Arrays as compiled kernels take them."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T", bound=np.generic)


def read_only(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return the array contiguous and read-only, as kernels take all input, so that they are compiled only once."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def as_is(array: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return the array, which a kernel is to write."""
    return array
