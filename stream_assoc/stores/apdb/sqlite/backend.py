"""SQLite as a backend: URLs, and the transactions that change tables."""

import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stream_assoc.private_files import create_private
from stream_assoc.stores.apdb.backend import Administration, OpenApdb
from stream_assoc.stores.apdb.copying import CopySource, CopyStep, OpenSource
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.sql.administration import SqlAdministration, dax_config_of
from stream_assoc.stores.apdb.sql.copying import ONLY_TO_CASSANDRA, SqlCopySource
from stream_assoc.stores.apdb.sql.database import ALL_TABLES, INDEXES, Database
from stream_assoc.stores.apdb.sql.inspection import SqlInspection
from stream_assoc.stores.apdb.sql.reading import SqlReader
from stream_assoc.stores.apdb.sqlite.apdb import SqliteApdb, hold_lock, one_name, translated
from stream_assoc.stores.apdb.sqlite.moment import moment_of
from stream_assoc.stores.apdb.sqlite.reading import SqliteDatabase
from stream_assoc.stores.apdb.sqlite.triggers import SqliteTriggers

if TYPE_CHECKING:
    from lsst.dax.apdb import ApdbConfig

_NOT_IN_A_FILE_NAME: Final = "?#%"
_TYPES: Final = {"bytes": "BLOB", "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT"}


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """`ApdbUrl` of an SQLite file."""

    path: Path

    def open(
        self, *, tile_level: int, flag_columns: Sequence[str], patience: Patience, replication: Replication
    ) -> OpenApdb:
        """See `ApdbUrl.open`."""
        return SqliteApdb(
            self.path,
            tile_level=tile_level,
            flag_columns=flag_columns,
            patience=patience,
            replication=replication,
        )

    def open_reader(self, patience: Patience, *, any_version: bool) -> ApdbReader:
        """See `ApdbUrl.open_reader`."""
        return SqlReader(SqliteDatabase(self.path, patience, any_version=any_version))

    @contextmanager
    def inspection(self, patience: Patience, *, flag_columns: Sequence[str]) -> Iterator[ApdbInspection]:
        """See `ApdbUrl.inspection`."""
        with moment_of(self.path, patience) as moment:
            yield SqlInspection(moment, flag_columns)

    @contextmanager
    def copy_source(self, patience: Patience) -> Iterator[CopySource]:
        """See `ApdbUrl.copy_source`."""
        with moment_of(self.path, patience) as moment:
            yield SqlCopySource(moment)

    def copy_from(
        self, open_source: OpenSource, patience: Patience, tell: Callable[[str], None]
    ) -> Iterator[CopyStep]:
        """See `ApdbUrl.copy_from`."""
        raise ApdbConfigurationError(ONLY_TO_CASSANDRA)

    def administration(self) -> Administration:
        """See `ApdbUrl.administration`."""
        return SqlAdministration(self)

    def server(self, patience: Patience) -> None:
        """See `ApdbUrl.server`: a file has none."""
        return None

    def backups(self, patience: Patience) -> None:
        """See `ApdbUrl.backups`: `sqlite3 .backup` makes one."""
        return None

    def ring(self, patience: Patience) -> None:
        """See `ApdbUrl.ring`: a file has none."""
        return None

    @property
    def namespace(self) -> None:
        """See `SqlUrl.namespace`: SQLite has none."""
        return None

    @property
    def sqlalchemy_url(self) -> str:
        """See `SqlUrl.sqlalchemy_url`: the absolute path, so that it is the same file from every folder.

        SQLAlchemy 2.1 decodes percent signs and 2.0 does not, so there are none: `_path_of` takes no such name.
        """
        return f"sqlite:///{self.path.absolute()}"

    def dax_config(self) -> "ApdbConfig":
        """See `ApdbUrl.dax_config`."""
        return dax_config_of(self)

    def reserve(self) -> None:
        """Create the file, for its owner only, unless it is there."""
        create_private(self.path)

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Database | None]:
        """See `SqlUrl.transaction`."""
        if not self.path.is_file():
            yield None
            return
        path = one_name(self.path)
        seconds = DEFAULT_PATIENCE.lock_seconds
        with ExitStack() as stack:
            stack.enter_context(translated())
            if writes:
                stack.enter_context(closing(hold_lock(path, seconds)))
            connection = stack.enter_context(closing(sqlite3.connect(path, timeout=seconds, isolation_level=None)))
            connection.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield _database(connection)
            # Closed without it, the connection undoes everything.
            connection.execute("COMMIT")


def _database(connection: sqlite3.Connection) -> Database:
    def columns_of(table: str) -> frozenset[str]:
        return frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))

    names = {name: f'"{name}"' for name in (*ALL_TABLES, *INDEXES)}
    return Database(names | _TYPES, columns_of, False, SqliteTriggers(connection), connection.execute)


class SqliteBackend:
    """`Backend` of SQLite."""

    scheme = "sqlite"
    form = "sqlite:///path"

    def parse(self, rest: str, namespace: str | None) -> SqliteUrl:
        """See `Backend.parse`."""
        if not rest.startswith("/"):
            raise ApdbConfigurationError(f"the setting apdb.url begins with 'sqlite'; use {self.form}")
        if namespace is not None:
            raise ApdbConfigurationError("the setting apdb.namespace is for PostgreSQL; SQLite has no namespaces")
        return SqliteUrl(_path_of(rest[1:]))


SQLITE: Final = SqliteBackend()


def _path_of(text: str) -> Path:
    """Return the file that a URL names, percent-decoded as SQLAlchemy does it.

    dax_apdb makes a URI of the name again, so a name that is not the same in
    there would be another file for it than for us.
    """
    name = urllib.parse.unquote(text)
    if not name or name.startswith((":", "file:")):
        raise ApdbConfigurationError(
            "the setting apdb.url names no file: an APDB in memory ends with each connection, and file: URIs are "
            "not taken; use sqlite:///path"
        )
    if "?" in text or any(character in _NOT_IN_A_FILE_NAME or not character.isprintable() for character in name):
        raise ApdbConfigurationError(
            "the setting apdb.url: the name of an SQLite file may not contain ?, # or % or a control character, and "
            "takes no parameters after a ?; call the file otherwise"
        )
    return Path(name)
