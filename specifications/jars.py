"""Where the model checker's jar comes from."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

POM: Final = Path(__file__).with_name("pom.xml")

CACHE: Final = Path(__file__).parents[1] / ".cache" / "tlc"

MAVEN_TIMEOUT_SECONDS: Final = 300


class NoModelCheckerError(Exception):
    """There is no TLC to run, and the message says what brings it."""


def tlc_jars(cache: Path = CACHE) -> Path:
    """Return the folder with TLC's jar, fetched from Maven Central the first time.

    Raises
    ------
    NoModelCheckerError
        If there is no Java or no Maven, or Maven cannot resolve the jar.
    """
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        raise NoModelCheckerError(
            f"no {' and no '.join(missing)}: apt-get install --no-install-recommends openjdk-17-jre-headless maven"
        )
    jars = cache / "jars"
    cache.mkdir(parents=True, exist_ok=True)
    # Two runs may start at the same time; the folder gets its name when it is complete.
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            _copy_dependencies(cache / "partial").rename(jars)
    return jars


def _copy_dependencies(target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(POM)]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    result = subprocess.run(  # noqa: S603 - what is run is named here
        command, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_SECONDS, check=False
    )
    if result.returncode != 0:
        raise NoModelCheckerError(f"Maven cannot resolve TLC's jar ({POM}): {result.stdout}{result.stderr}")
    return target
