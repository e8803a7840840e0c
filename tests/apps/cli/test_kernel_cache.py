"""A machine on which numba may write nowhere: one line says what to set."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_assoc.apps.cli.main import of_kernel_cache

REMEDY = "set the environment variable NUMBA_CACHE_DIR to a folder"


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command where numba looks for its cache only where NUMBA_CACHE_DIR says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "STREAM_ASSOC_"))}
    only = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "stream_assoc", *arguments]
    environment = {**kept, **only, **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", [("config", "check"), ("serve",), ("explain", "1"), ("apdb", "check")])
def test_without_a_place_for_kernels_one_line_names_the_variable(tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = run(tmp_path, *command)
    (line,) = ended.stderr.splitlines()
    assert REMEDY in line
    assert ended.returncode == 2


@pytest.mark.parametrize("command", [("config", "show"), ("--help",), ("--version",), ("serve", "--help")])
def test_what_needs_no_kernel_needs_no_place_for_them(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert run(tmp_path, *command).returncode == 0


def test_with_the_variable_set_it_works(tmp_path: Path) -> None:
    ended = run(tmp_path, "config", "check", NUMBA_CACHE_DIR=str(tmp_path / "kernels"))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_full_or_read_only_cache_is_told_by_its_file_and_other_errors_are_not_taken_for_it() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/kernels/cells._keys-69.py311.nbi.tmp.1")
    assert "nbi.tmp.1: No space left on device" in str(of_kernel_cache(full))
    assert of_kernel_cache(OSError(errno.ENOSPC, "No space left on device", "/data/night.avro")) is None
    assert of_kernel_cache(OSError("nothing")) is None
    assert of_kernel_cache(RuntimeError("something else")) is None
