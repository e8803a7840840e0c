"""How the process deals with its memory: the C library with large arrays, Python with objects."""

import contextlib
import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_LARGEST_IN_HEAP: Final = 32 * 1024**2
"""The most that glibc allows; the columns of a visit of Rubin are below it."""

_KEPT_FREE: Final = 256 * 1024**2
"""What stays with the process though it is free: about what one large visit needs."""

_COLLECT_AFTER: Final = (20_000, 20, 50)
"""Objects between two collections of the youngest, and how many of these come between two of the older ones."""


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


def collect_rarely() -> None:
    """Have Python look for unreachable cycles less often.

    The messages of a visit are ten thousand objects, none of them in a cycle.
    By default that many of them bring on a search of the whole heap, with all
    that numba and Arrow keep there: 0.13 s, more than the visit's own
    computing. What is imported brings on several of them.
    """
    gc.set_threshold(*_COLLECT_AFTER)


def keep_for_good() -> None:
    """Have Python look no more at what is there now: modules, types and settings live as long as the process."""
    gc.freeze()
