"""Files of data that only their owner can read, unless the owner decides otherwise."""

import os
import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = 0o077


def keep_private() -> None:
    """Let only the owner read and write every file that this process creates from now on."""
    # The mask can only be read by setting it.
    os.umask(os.umask(_OTHERS) | _OTHERS)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read and write; leave an existing one as it is.

    Raises
    ------
    OSError
        If it can be neither created nor opened.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def create_like(path: Path, model: Path) -> None:
    """Create an empty file with the permissions of another one; leave an existing one as it is.

    Raises
    ------
    OSError
        If it cannot be created, or the other one does not exist.
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
