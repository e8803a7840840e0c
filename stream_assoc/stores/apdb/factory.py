"""From a URL to an adapter."""

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import psycopg
import psycopg.conninfo

from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.sql.compatibility import partition_name
from stream_assoc.stores.apdb.sqlite.apdb import SqliteApdb

SqlApdb: TypeAlias = SqliteApdb | PostgresqlApdb

_NOT_IN_A_FILE_NAME: Final = "?#%"
_GREATEST_PORT: Final = 65_535
_WORDS_OF_LIBPQ: Final = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Parameters that take one of a few words; libpq looks at them only when it connects,
and what it then says is taken for a server that is away."""


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """An SQLite file."""

    path: Path

    @property
    def sqlalchemy_url(self) -> str:
        """The URL as SQLAlchemy, so dax_apdb, wants it."""
        return f"sqlite:///{urllib.parse.quote(str(self.path))}"


@dataclass(frozen=True, slots=True)
class PostgresqlUrl:
    """A PostgreSQL server; may hold a password, so it is shown in no message."""

    conninfo: str

    def __repr__(self) -> str:
        return "PostgresqlUrl(...)"

    @property
    def sqlalchemy_url(self) -> str:
        """The URL as dax_apdb wants it: what libpq reads in ours, spelled so that SQLAlchemy reads the same.

        With ``postgresql://`` SQLAlchemy 2.1 takes psycopg 3, on which
        dax_apdb's own `store` fails for the column of NULLs it writes.
        """
        parts = psycopg.conninfo.conninfo_to_dict(self.conninfo)
        query = urllib.parse.urlencode(parts, quote_via=urllib.parse.quote)
        return f"postgresql+psycopg2://?{query}"


def parse_url(url: str) -> SqliteUrl | PostgresqlUrl:
    """Return what kind of database a URL names, and where it is.

    Parameters
    ----------
    url : `str`
        ``sqlite:///relative/path``, ``sqlite:////absolute/path``, percent-encoded, or
        ``postgresql://user:password@host:port/database``; a SQLAlchemy driver
        after the scheme (``postgresql+psycopg2``) is ignored.

    Raises
    ------
    ApdbConfigurationError
        If it is anything else. The message never holds the URL itself.
    """
    scheme, separator, rest = url.partition("://")
    backend = scheme.partition("+")[0]
    if separator and backend == "postgresql":
        _check_readable(f"postgresql://{rest}")
        return PostgresqlUrl(f"postgresql://{rest}")
    if separator and backend == "sqlite" and rest.startswith("/"):
        return SqliteUrl(_sqlite_path(rest[1:]))
    shown = f"begins with {scheme!r}" if separator else "has no scheme"
    raise ApdbConfigurationError(f"the setting apdb.url {shown}; use sqlite:///path or postgresql://host/database")


def _sqlite_path(text: str) -> Path:
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


def _check_readable(url: str) -> None:
    """Refuse a URL that libpq reads in another way than it was meant, and would then quote with its password."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {"host": "@"}
    ports = str(parts.get("port") or "").split(",")
    if "@" in str(parts.get("host") or "") or not all(map(_is_port, ports)):
        raise ApdbConfigurationError(
            "the setting apdb.url cannot be read: write postgresql://user@host:port/database, "
            "and the password percent-encoded or in apdb.password"
        )
    _check_words(parts)


def _check_words(parts: Mapping[str, object]) -> None:
    for name, words in _WORDS_OF_LIBPQ.items():
        if parts.get(name, words[0]) not in words:
            raise ApdbConfigurationError(f"the setting apdb.url: {name} must be one of {', '.join(words)}")
    seconds = str(parts.get("connect_timeout", 0))
    if not (seconds.isascii() and seconds.removeprefix("-").isdecimal()):
        raise ApdbConfigurationError("the setting apdb.url: connect_timeout must be a whole number of seconds")


def _is_port(text: str) -> bool:
    """Tell whether libpq takes a text for a port; an empty one is its default."""
    return not text or (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= _GREATEST_PORT)


def open_apdb(
    url: str,
    namespace: str | None = None,
    *,
    tile_level: int = 10,
    cell_level: int = 8,
    flag_columns: Sequence[str] = (),
    patience: Patience = DEFAULT_PATIENCE,
) -> SqlApdb:
    """Return the adapter for a database, its schema checked.

    Parameters
    ----------
    url : `str`
        See `parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    tile_level, cell_level : `int`
        HTM levels of the tiles and cells, those the database was made with.
    flag_columns : `~collections.abc.Sequence` [`str`]
        DiaSource columns that raise the flag of a stored source; the same as
        the pipeline folds, or a rebuilt state differs.
    patience : `Patience`
        How long to wait for the database, and for what other sessions hold.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind, or the levels are not the database's.
    ApdbSchemaError
        If the database is no APDB prepared for this version.
    ApdbUnavailableError
        If it cannot be reached.
    """
    apdb = _adapter(url, namespace, tile_level, flag_columns, patience)
    asked = partition_name(tile_level, cell_level)
    if apdb.report.partition != asked:
        apdb.close()
        raise ApdbConfigurationError(
            f"sky.tile_level/cell_level are {asked}, but the APDB is partitioned as {apdb.report.partition}, and "
            "all its daemons must agree; set them back, or stop every daemon and run "
            "`stream-assoc apdb init --repartition`"
        )
    return apdb


def _adapter(
    url: str, namespace: str | None, tile_level: int, flag_columns: Sequence[str], patience: Patience
) -> SqlApdb:
    parsed = parse_url(url)
    if isinstance(parsed, PostgresqlUrl):
        return PostgresqlApdb(
            parsed.conninfo,
            namespace,
            tile_level=tile_level,
            flag_columns=flag_columns,
            patience=patience,
        )
    if namespace is not None:
        raise ApdbConfigurationError("the setting apdb.namespace is for PostgreSQL; SQLite has no namespaces")
    return SqliteApdb(parsed.path, tile_level=tile_level, flag_columns=flag_columns, patience=patience)
