"""A PPDB beside an APDB, filled by the programs of lsst-dax-ppdb in an environment of their own."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.create import init, save_dax_config
from stream_assoc.stores.apdb.rows.tables import KEYS, quoted
from tests.contents import columns

ENVIRONMENT: Final = Path(__file__).parents[2] / ".cache" / "ppdb"
IS_INSTALLED: Final = (ENVIRONMENT / ".installed").is_file()
PROGRAMS: Final = Path(__file__).with_name("ppdb_programs.py")
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
    programs : `Programs`
        Those of lsst-dax-ppdb.
    """

    apdb_url: str
    ppdb_url: str
    schema: str | None
    folder: Path
    programs: "Programs"

    @property
    def apdb_config(self) -> Path:
        return self.folder / "apdb.yaml"

    @property
    def is_in_sql(self) -> bool:
        """Whether the APDB is in an SQL database."""
        return not isinstance(parse_url(self.apdb_url), CassandraUrl)

    @property
    def ppdb_config(self) -> Path:
        return self.folder / "ppdb.yaml"

    def replicate(self) -> None:
        """Have lsst-dax-ppdb copy all chunks that there are."""
        self.programs.run(
            "ppdb-replication", "run", "--exit-on-empty", "--min-wait-time", "0", "--max-wait-time", "0",
            self.apdb_config, self.ppdb_config,
        )  # fmt: skip

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
        names = apdb_table(table).names
        places = [names.index(name) for name in KEYS[table]]
        found = self._selected(table, names, of_ppdb=of_ppdb)
        rows = {tuple(row[place] for place in places): tuple(map(_as_text, row)) for row in found}
        assert len(rows) == len(found)
        return rows

    def _selected(self, table: str, names: Sequence[str], *, of_ppdb: bool) -> Sequence[Sequence[Any]]:
        if not (of_ppdb or self.is_in_sql):
            return columns(self.apdb_url, table, *names)
        url = self.ppdb_url if of_ppdb else self._apdb_sqlalchemy_url
        schema = f'"{self.schema}".' if of_ppdb and self.schema else ""
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return connection.exec_driver_sql(f'SELECT {quoted(names)} FROM {schema}"{table}"').fetchall()


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of lsst-dax-ppdb, in a process of another Python."""

    process: subprocess.Popen[str]

    def run(self, *words: object) -> None:
        """Run one, and fail with what it raises."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self.process.stdin.flush()
        raised = json.loads(self.process.stdout.readline())
        assert raised is None, raised


@contextlib.contextmanager
def programs() -> Iterator[Programs]:
    """Start the process."""
    command = [ENVIRONMENT / "bin" / "python", PROGRAMS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield Programs(process)
        assert process.stdin is not None
        process.stdin.close()


def new_replica(apdb_url: str, ppdb_url: str, schema: str | None, folder: Path, programs: Programs) -> Replica:
    """Return a new APDB and its empty PPDB."""
    report = init(apdb_url)
    replica = Replica(apdb_url, ppdb_url, schema, folder, programs)
    save_dax_config(apdb_url, None, replica.apdb_config, replication=report.replication)
    options = ["--schema", schema] if schema else []
    programs.run("ppdb-cli", "create-sql", *options, ppdb_url, replica.ppdb_config)
    return replica


def replica_on_sqlite(folder: Path, programs: Programs) -> Replica:
    """Return a new APDB and PPDB, both SQLite files."""
    return new_replica(f"sqlite:///{folder}/apdb.db", f"sqlite:///{folder}/ppdb.db", None, folder, programs)


def replica_on_postgresql(url: str, folder: Path, programs: Programs) -> Replica:
    """Return a new APDB and PPDB, both in one PostgreSQL database."""
    ppdb_url = str(parse_url(url).dax_config().model_dump()["db_url"])
    return new_replica(url, ppdb_url, SCHEMA, folder, programs)


def replica_on_cassandra(url: str, folder: Path, programs: Programs) -> Replica:
    """Return an APDB on Cassandra that is empty, and its PPDB in an SQLite file."""
    return new_replica(url, f"sqlite:///{folder}/ppdb.db", None, folder, programs)


def _as_text(value: object) -> str:
    # SQLite has no boolean values.
    return str(int(value) if isinstance(value, bool) else value)
