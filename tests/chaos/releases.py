"""Earlier releases of the program, as source that the interpreter of the tests runs."""

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = REPOSITORY / ".cache" / "releases"
"""Kept from run to run: its kernels take a minute to compile."""


def source_of(commit: str) -> Path:
    """Return the folder with the program as it was at a commit, for ``PYTHONPATH``.

    Its dependencies are those of today.
    """
    folder = FOLDER / commit
    if not (folder / "stream_assoc").is_dir():
        archived = subprocess.run(
            ["git", "archive", commit, "stream_assoc", "schemas"], cwd=REPOSITORY, capture_output=True, check=False
        )
        if archived.returncode:
            pytest.skip(f"the release {commit} is not in this clone: {archived.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder
