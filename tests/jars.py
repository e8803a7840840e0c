"""Jars of Maven Central that programs of the tests and of the specifications need."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

MAVEN_TIMEOUT_SECONDS: Final = 300


class JarsUnavailableError(Exception):
    """The jars cannot be had on this machine; the text says why."""


def jars_are_in(cache: Path) -> bool:
    """Tell whether `jars_of` has nothing to fetch."""
    return (cache / "jars").exists()


def jars_of(pom: Path, cache: Path) -> Path:
    """Return the folder of the jars that a Maven project depends on, fetched the first time.

    Parameters
    ----------
    pom : `pathlib.Path`
        The project.
    cache : `pathlib.Path`
        A folder of its own, made if it is missing.

    Raises
    ------
    JarsUnavailableError
        If Maven cannot resolve them.
    """
    jars = cache / "jars"
    cache.mkdir(parents=True, exist_ok=True)
    # Two runs may start at the same time; the folder gets its name when it is complete.
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars_are_in(cache):
            _copy_dependencies(pom, cache / "partial").rename(jars)
    return jars


def _copy_dependencies(pom: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), *goal]
    result = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_SECONDS, check=False)
    if result.returncode != 0:
        raise JarsUnavailableError(f"Maven cannot resolve the jars of {pom}: {result.stdout}{result.stderr}")
    return target
