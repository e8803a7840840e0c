"""Where compiled kernels are kept, and what is said where that is nowhere.

Numba looks for a folder to write to as soon as a module with a kernel is
imported, so nearly every command meets it.
"""

from typing import Final

from stream_assoc.exceptions import FatalError

_NOWHERE: Final = "no locator available"
"""What numba's error says when it may write neither beside the package nor in the user's cache."""

_FILES: Final = (".nbi", ".nbc")
"""Parts of the names of numba's files: the index of a function's kernels, and a kernel."""


class KernelCacheError(FatalError):
    """Compiled kernels can be kept nowhere, and compiling all of them takes a minute at every start."""


def of_kernel_cache(error: RuntimeError | OSError) -> KernelCacheError | None:
    """Return what to say of an error, if it comes from keeping compiled kernels."""
    if isinstance(error, OSError):
        name = str(error.filename or "")
        why = f"{name}: {error.strerror}" if any(part in name for part in _FILES) else ""
    else:
        why = "no folder for them can be written to" if _NOWHERE in str(error) else ""
    if not why:
        return None
    return KernelCacheError(
        f"compiled kernels cannot be kept ({why}); set the environment variable NUMBA_CACHE_DIR to a folder that "
        "this user can write to"
    )
