"""Memory of the process: large arrays in the C library, objects in Python."""

import contextlib
import ctypes
import gc
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_LARGEST_IN_HEAP: Final = 32 * 1024**2
"""The most that glibc allows; the columns of a visit of Rubin are below it."""

_KEPT_FREE: Final = 256 * 1024**2
"""Free memory that the process keeps: about what one large visit needs."""

_COLLECT_AFTER: Final = (20_000, 20, 50)
"""Objects between two collections of the youngest, and how many of these come between two of the older ones."""


def keep_freed_memory() -> bool:
    """Let the C library reuse freed memory instead of returning it to the kernel.

    A visit allocates hundreds of megabytes, piece by piece, and frees them
    again. By default each large piece comes from the kernel, which clears
    every page of it: a quarter of the time that a large visit takes.

    Returns
    -------
    done : `bool`
        Whether the C library supports it; only glibc (``mallopt``) does.
    """
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE))
    return False


def collect_rarely() -> None:
    """Let Python look for unreachable cycles less often.

    The messages of a visit are ten thousand objects, none of them in a cycle.
    By default so many cause a search of the whole heap, with everything that
    numba and Arrow keep there: 0.13 s, more than the visit's own computing.
    Imports cause several such searches.
    """
    gc.set_threshold(*_COLLECT_AFTER)


def keep_for_good() -> None:
    """Exclude all present objects from these searches: modules, types and settings live as long as the process."""
    gc.freeze()
