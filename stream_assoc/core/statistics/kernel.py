"""What all compiled kernels share."""

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function with numba, on first use, and keep the result on disk.

    Division follows IEEE 754 (``error_model="numpy"``) and there is no
    fast-math: the same sequence of points must always give the same bits.

    numba notices a change of the file a kernel stands in, not of the kernels
    it calls in other files: after editing one of those, delete ``__pycache__``.
    """
    return cast("Function", numba.njit(cache=True, error_model="numpy")(function))


@kernel
def is_usable(flux: float, error: float) -> bool:
    """Tell whether a flux can be weighted by the inverse square of its error."""
    return math.isfinite(flux) and error > 0.0 and math.isfinite(1.0 / (error * error)) and math.isfinite(error)
