"""How the C library deals with the memory of large arrays."""

import contextlib
import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_LARGEST_IN_HEAP: Final = 32 * 1024**2
"""The most that glibc allows; the columns of a visit of Rubin are below it."""

_KEPT_FREE: Final = 256 * 1024**2
"""What stays with the process though it is free: about what one large visit needs."""


def keep_freed_memory() -> bool:
    """Have freed memory used again instead of being given back to the kernel and asked for anew.

    A visit allocates hundreds of megabytes, piece by piece, and frees them
    again. By default each large piece comes from the kernel, which clears
    every page of it: a quarter of the time that a large visit takes.

    Returns
    -------
    done : `bool`
        Whether the C library could be told; only glibc (``mallopt``) can.
    """
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE))
    return False
