"""Disks that get full."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path


class MountError(Exception):
    """No file system can be mounted here; the text says why."""


class FileSystem:
    """A file system of the test's own, which gets full: ENOSPC, as on a server. To mount it takes root."""

    complaint = "its file system is full: free space there"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """Leave no space, whichever process asks for it."""
        with self._ballast.open("wb", buffering=0) as ballast:
            while _is_written(ballast, bytes(4096)):
                pass

    def free(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """Give the space back."""
        self._ballast.unlink()


@contextmanager
def file_system(folder: Path, mebibytes: int) -> Iterator[FileSystem]:
    """Mount a file system of this size.

    Raises
    ------
    MountError
        If this user cannot.
    """
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "tmpfs", str(folder)]
    answer = subprocess.run(mount, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise MountError(f"no file system can be mounted here: {answer.stderr.strip()}")
    try:
        yield FileSystem(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _is_written(file: FileIO, content: bytes) -> bool:
    """Write, and tell whether there was any space."""
    try:
        return file.write(content) > 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
