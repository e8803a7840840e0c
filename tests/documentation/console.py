"""The commands that pages tell people to type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_BLOCK = re.compile(r"^( *)```console\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "

NEEDS_A_MACHINE = {
    "useradd": "makes a system user",
    "systemctl": "needs a running systemd",
    "journalctl": "needs a running systemd",
    "python3.11": "makes /opt/stream-assoc",
    "/opt/stream-assoc/bin/pip": "installs into /opt/stream-assoc",
    "kubectl": "needs a cluster",
    "kafka-consumer-groups.sh": "is Kafka's own",
    "kafka-configs.sh": "is Kafka's own",
    "pg_dump": "is PostgreSQL's own; tests/stores/apdb/postgresql/test_data_only_dump.py runs it",
    "psql": "is PostgreSQL's own; the same",
    "curl": "asks a running daemon; tests/monitoring does",
    "python3.12": "makes an environment for lsst-dax-ppdb, as `make test` does",
    "ppdb/bin/pip": "installs lsst-dax-ppdb, as `make test` does",
    "ppdb/bin/ppdb-cli": "is of lsst-dax-ppdb; tests/integration/test_ppdb.py runs it",
    "ppdb/bin/ppdb-replication": "is of lsst-dax-ppdb; tests/integration/test_ppdb.py runs it",
    "apdb-cli": "is of lsst-dax-apdb; tests/stores/apdb/test_dax_config.py runs it",
    "nodetool": "is Cassandra's own; tests/stores/apdb/cassandra/backups/test_backup.py does what it does",
    "cp": "copies files of a Cassandra node; the same",
    "pip": "installs anew what `make install` has installed",
}
"""Programs that the tests do not run, and why."""


@dataclass(frozen=True)
class Command:
    """A line after a prompt, and the page it is on."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def without_comment(self) -> str:
        return shlex.join(self.words)


def pages() -> list[str]:
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [page.relative_to(REPOSITORY).as_posix() for page in found]


def commands(page: str) -> Iterator[Command]:
    """Yield the commands of a page, in order."""
    for _, block in _BLOCK.findall((REPOSITORY / page).read_text()):
        for line in block.splitlines():
            if line.strip().startswith(_PROMPT):
                yield Command(page, line.strip().removeprefix(_PROMPT))


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / page).read_text(), re.MULTILINE | re.DOTALL)


def program_of(command: Command) -> str:
    """Return the program, past assignments of variables."""
    return next(word for word in command.words if not re.match(r"^[A-Z_]+=", word))
