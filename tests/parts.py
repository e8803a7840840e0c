"""Parts of the test suite that need a program which Python packages do not bring, and where Debian has it."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SEARCHED: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the suite.

    Attributes
    ----------
    name : `str`
        What is not tested where a program is missing.
    programs : `tuple` [`str`, ...]
        Programs it needs, by name or by path; a pattern stands for any path that matches.
    packages : `tuple` [`str`, ...]
        Debian packages that bring them.
    stand_in : `str`
        A variable of the environment that names a running server instead.
    """

    name: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    stand_in: str = ""

    @property
    def is_here(self) -> bool:
        """Whether this machine has all it needs."""
        return bool(os.environ.get(self.stand_in)) or all(map(_is_here, self.programs))

    @property
    def reason(self) -> str:
        """Why its tests are skipped, and what brings them."""
        return f"no {' or no '.join(self.programs)}: {installing([self])}"


BROWSER: Final = Part("the page in a browser", ("/usr/bin/chromium",), ("chromium", "fonts-dejavu-core"))
MONITORING: Final = Part("alert rules and dashboards", ("promtool", "prometheus"), ("prometheus",))
POOLERS: Final = Part("poolers", ("pgbouncer",), ("pgbouncer",))
KAFKA: Final = Part(
    "everything on a real Kafka", ("java", "mvn"), ("openjdk-17-jre-headless", "maven"), "STREAM_ASSOC_TEST_KAFKA"
)
ENCRYPTION: Final = Part(
    "encrypted servers", ("openssl", "/usr/lib/postgresql/*/bin/initdb"), ("openssl", "postgresql")
)
MODELS: Final = Part("TLC, which checks the models", ("java", "mvn"), ("openjdk-17-jre-headless", "maven"))
CASSANDRA: Final = Part("everything on a ring of Cassandra", ("java", "mvn"), ("openjdk-17-jre-headless", "maven"))
HOSTS: Final = Part("several hosts on one machine", ("ip",), ("iproute2",))
PARTS: Final = (BROWSER, MONITORING, POOLERS, KAFKA, ENCRYPTION, MODELS, CASSANDRA, HOSTS)


def installing(parts: Sequence[Part]) -> str:
    """Return the command that brings what these parts need."""
    packages = dict.fromkeys(package for part in parts for package in part.packages)
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def what_will_not_run(parts: Sequence[Part]) -> str | None:
    """Return one line that names the parts that will be skipped, and the command that brings them."""
    missing = [part for part in parts if not part.is_here]
    if not missing:
        return None
    return f"will not run here: {'; '.join(part.name for part in missing)}. To run all: {installing(missing)}"


def what_is_fetched(parts: Sequence[Part]) -> str | None:
    """Return one line that names the parts that will be skipped if Maven cannot fetch their jars."""
    if not parts:
        return None
    names = "; ".join(part.name for part in parts)
    return f"will not run if Maven can reach no repository, for their jars are not here yet: {names}"


def _is_here(program: str) -> bool:
    if not program.startswith("/"):
        return shutil.which(program, path=SEARCHED) is not None
    return any(os.access(path, os.X_OK) for path in Path("/").glob(program.removeprefix("/")))
