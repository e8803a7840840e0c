"""A transaction on an SQL database that may change its tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from stream_assoc.stores.apdb.rows.tables import DAX_TABLES, OUR_TABLES

INDEX_BY_OBJECT: Final = "IDX_DiaSource_diaObjectId"
"""dax_apdb's index of DiaSource by object, for which a migration of ours makes a better one."""
INDEX_OF_LATER: Final = "StreamAssocDiaSource_later"
"""That better one: what came after a time is found without a look at what came before."""
INDEX_OF_POINTS: Final = "StreamAssocDiaSource_points"
"""The same, with what states are folded from beside the key, where a database can keep it there."""
INDEXES: Final = (INDEX_BY_OBJECT, INDEX_OF_LATER, INDEX_OF_POINTS)

ALL_TABLES: Final = ("metadata", *DAX_TABLES, *OUR_TABLES)


class Triggers(Protocol):
    """The triggers of a database: the statements that make and delete them, and what is not as it should be."""

    def install(self, shift: int) -> Sequence[str]:
        """Return what makes all of them anew; a ``pixelId`` has ``shift`` bits more than its tile."""

    def drop(self) -> Sequence[str]:
        """Return what deletes all of them."""

    def lacking(self, shift: int) -> list[str]:
        """Return the names of those that are not there, switched off, or of another form."""


@dataclass(frozen=True, slots=True)
class Database:
    """A transaction on a database that may change its tables.

    Attributes
    ----------
    words : mapping
        What stands for a word in braces: the quoted name of a table or index, or the
        database's own ``{bytes}`` and ``{sequence}``.
    columns_of : callable
        Returns the columns of a table; none if there is no such table.
    has_storage_options : `bool`
        Whether tables and indexes take options of storage, such as room in pages and columns beside a key.
    triggers : `Triggers`
        Of `~stream_assoc.stores.apdb.sql.other_writers`.
    """

    words: Mapping[str, str]
    columns_of: Callable[[str], frozenset[str]]
    has_storage_options: bool
    triggers: Triggers
    _execute: Callable[[str, tuple[object, ...]], Any]

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows.

        Parameters
        ----------
        statement : `str`
            With words in braces (see ``words``), and ``?`` for each parameter.
        *parameters
        """
        cursor = self._execute(statement.format(**self.words), parameters)
        return cursor.fetchall() if cursor.description else []

    def run_all(self, statements: Iterable[str]) -> None:
        """Execute statements that are complete: no words in braces, no parameters."""
        for statement in statements:
            self._execute(statement, ())

    def exists(self, table: str) -> bool:
        """Tell whether there is a table of that name."""
        return bool(self.columns_of(table))

    @property
    def holds_apdb(self) -> bool:
        """Whether dax_apdb's tables are there, DiaObjectLast among them."""
        return self.exists("metadata") and self.exists("DiaObjectLast")

    def note(self, key: str) -> str | None:
        """Return a row of the metadata table."""
        rows = self.run("SELECT value FROM {metadata} WHERE name = ?", key)
        return str(rows[0][0]) if rows else None

    def set_note(self, key: str, value: str) -> None:
        """Write a row of the metadata table."""
        self.run(
            "INSERT INTO {metadata} (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            key,
            value,
        )


class SqlUrl(Protocol):
    """What `~stream_assoc.stores.apdb.sql.administration.SqlAdministration` needs of a backend's URLs."""

    @property
    def namespace(self) -> str | None:
        """The schema that holds the tables; `None`: the database's own choice."""

    @property
    def sqlalchemy_url(self) -> str:
        """The URL that dax_apdb opens through SQLAlchemy."""

    def reserve(self) -> None:
        """Create what dax_apdb would create with other permissions, before it does.

        Raises
        ------
        OSError
            If that is impossible.
        """

    def transaction(self, *, writes: bool) -> AbstractContextManager[Database | None]:
        """Begin a transaction and commit it at the end of the block; yield `None` if there is no file or schema yet.

        One that ``writes`` changes tables; no session of a daemon is open meanwhile. Another can change nothing.

        Raises
        ------
        ApdbUnavailableError
            If the database cannot be reached, or daemons hold it for too long.
        """
