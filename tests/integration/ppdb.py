"""A PPDB beside an APDB, filled by the programs of lsst-dax-ppdb in an environment of their own."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.create import init, save_dax_config
from stream_assoc.stores.apdb.sql.rows import KEYS

REPOSITORY: Final = Path(__file__).parents[2]
PROGRAMS: Final = REPOSITORY / ".cache" / "ppdb" / "bin"
REPLICATOR: Final = Path(__file__).with_name("ppdb_replicator.py")
SCHEMA: Final = "ppdb"


@dataclass(frozen=True, slots=True)
class Replica:
    """An APDB and its PPDB.

    Attributes
    ----------
    apdb_url : `str`
        As the setting apdb.url.
    ppdb_url : `str`
        As SQLAlchemy reads it.
    schema : `str` or `None`
        Schema of the PPDB's tables.
    folder : `pathlib.Path`
        Where the configuration files are.
    """

    apdb_url: str
    ppdb_url: str
    schema: str | None
    folder: Path

    @property
    def apdb_config(self) -> Path:
        return self.folder / "apdb.yaml"

    @property
    def ppdb_config(self) -> Path:
        return self.folder / "ppdb.yaml"

    def replicate(self) -> None:
        """Have the program that operators run copy all chunks that there are."""
        run("ppdb-replication", "run", "--exit-on-empty", "--min-wait-time", "0", "--max-wait-time", "0",
            self.apdb_config, self.ppdb_config)  # fmt: skip

    @contextlib.contextmanager
    def replicator(self) -> Iterator["Replicator"]:
        """Start a replicator that copies when it is told to."""
        command = [PROGRAMS / "python", REPLICATOR, self.apdb_config, self.ppdb_config]
        log = self.folder / "replicator.log"
        with (
            log.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            yield Replicator(process, log)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait() == 0, log.read_text(encoding="utf-8")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Change the APDB as no program does."""
        engine = sa.create_engine(self._apdb_sqlalchemy_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            yield connection

    @property
    def _apdb_sqlalchemy_url(self) -> str:
        return str(parse_url(self.apdb_url).dax_config().model_dump()["db_url"])

    def rows(self, *, of_ppdb: bool, table: str) -> dict[tuple[Any, ...], tuple[str, ...]]:
        """Return all rows of a table by key, NaN and NULL alike as text."""
        url = self.ppdb_url if of_ppdb else self._apdb_sqlalchemy_url
        schema = f'"{self.schema}".' if of_ppdb and self.schema else ""
        names = apdb_table(table).names
        columns = ", ".join(f'"{name}"' for name in names)
        places = [names.index(name) for name in KEYS[table]]
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found = connection.exec_driver_sql(f'SELECT {columns} FROM {schema}"{table}"').fetchall()
        rows = {tuple(row[place] for place in places): tuple(map(str, row)) for row in found}
        assert len(rows) == len(found)
        return rows


@dataclass(frozen=True, slots=True)
class Replicator:
    """A replicator at work."""

    process: subprocess.Popen[str]
    log: Path

    def copy(self) -> None:
        """Have it copy all chunks that there are."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "replicated\n", self.log.read_text(encoding="utf-8")


def run(program: str, *arguments: object) -> str:
    """Run a program of lsst-dax-ppdb and return what it prints."""
    ended = subprocess.run([PROGRAMS / program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def new_replica(apdb_url: str, ppdb_url: str, schema: str | None, folder: Path) -> Replica:
    """Return a new APDB and its empty PPDB."""
    if not (PROGRAMS / "ppdb-replication").is_file():
        pytest.skip("no lsst-dax-ppdb in .cache/ppdb, which needs Python 3.12 or later: make .cache/ppdb/.installed")
    report = init(apdb_url)
    replica = Replica(apdb_url, ppdb_url, schema, folder)
    save_dax_config(apdb_url, None, replica.apdb_config, replication=report.replication)
    options = ["--schema", schema] if schema else []
    run("ppdb-cli", "create-sql", *options, ppdb_url, replica.ppdb_config)
    return replica


def replica_on_sqlite(folder: Path) -> Replica:
    """Return a new APDB and PPDB, both SQLite files."""
    return new_replica(f"sqlite:///{folder}/apdb.db", f"sqlite:///{folder}/ppdb.db", None, folder)


def replica_on_postgresql(url: str, folder: Path) -> Replica:
    """Return a new APDB and PPDB, both in one PostgreSQL database."""
    return new_replica(url, str(parse_url(url).dax_config().model_dump()["db_url"]), SCHEMA, folder)
