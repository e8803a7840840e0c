"""Files that hold data are for their owner alone, unless the owner says otherwise."""

import os
import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = 0o077


def keep_private() -> None:
    """Let every file that this process makes from now on be for its owner alone."""
    # The mask can only be read by setting it.
    os.umask(os.umask(_OTHERS) | _OTHERS)


def create_private(path: Path) -> None:
    """Make an empty file for its owner alone; one that exists is left as it is.

    Raises
    ------
    OSError
        If it can be neither made nor opened.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def create_like(path: Path, model: Path) -> None:
    """Make an empty file for those who may read and write another one; if it exists, leave it as it is.

    Raises
    ------
    OSError
        If it cannot be made, or the other one is not there.
    """
    mode = stat.S_IMODE(model.stat().st_mode) & 0o666
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
