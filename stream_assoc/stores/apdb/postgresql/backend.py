"""PostgreSQL as a backend: URLs, and the transactions that change tables."""

import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
import psycopg.conninfo
from psycopg import sql

from stream_assoc.stores.apdb.backend import Administration, OpenApdb
from stream_assoc.stores.apdb.copying import CopySource, CopyStep, OpenSource
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.postgresql.catalogue import find_schema
from stream_assoc.stores.apdb.postgresql.connection import translated
from stream_assoc.stores.apdb.postgresql.moment import moment_of
from stream_assoc.stores.apdb.postgresql.reading import PostgresqlDatabase
from stream_assoc.stores.apdb.postgresql.server import read_server
from stream_assoc.stores.apdb.postgresql.triggers import PostgresqlTriggers
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.stores.apdb.server import ApdbServer
from stream_assoc.stores.apdb.sql.administration import SqlAdministration, dax_config_of
from stream_assoc.stores.apdb.sql.copying import ONLY_TO_CASSANDRA, SqlCopySource
from stream_assoc.stores.apdb.sql.database import ALL_TABLES, INDEXES, Database
from stream_assoc.stores.apdb.sql.inspection import SqlInspection
from stream_assoc.stores.apdb.sql.reading import SqlReader
from stream_assoc.stores.apdb.sql.statements import DATABASE_CELL

if TYPE_CHECKING:
    from lsst.dax.apdb import ApdbConfig

_TYPES: Final = {"bytes": "BYTEA", "sequence": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}
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
class PostgresqlUrl:
    """`ApdbUrl` of a PostgreSQL server; may hold a password, so it is shown in no message."""

    conninfo: str
    namespace: str | None = None

    def __repr__(self) -> str:
        return "PostgresqlUrl(...)"

    def open(
        self, *, tile_level: int, flag_columns: Sequence[str], patience: Patience, replication: Replication
    ) -> OpenApdb:
        """See `ApdbUrl.open`."""
        return PostgresqlApdb(
            self.conninfo,
            self.namespace,
            tile_level=tile_level,
            flag_columns=flag_columns,
            patience=patience,
            replication=replication,
        )

    def open_reader(self, patience: Patience, *, any_version: bool) -> ApdbReader:
        """See `ApdbUrl.open_reader`."""
        return SqlReader(PostgresqlDatabase(self.conninfo, self.namespace, patience, any_version=any_version))

    @contextmanager
    def inspection(self, patience: Patience, *, flag_columns: Sequence[str]) -> Iterator[ApdbInspection]:
        """See `ApdbUrl.inspection`."""
        with moment_of(self.conninfo, self.namespace, patience) as moment:
            yield SqlInspection(moment, flag_columns)

    @contextmanager
    def copy_source(self, patience: Patience) -> Iterator[CopySource]:
        """See `ApdbUrl.copy_source`."""
        with moment_of(self.conninfo, self.namespace, patience) as moment:
            yield SqlCopySource(moment)

    def copy_from(
        self, open_source: OpenSource, patience: Patience, tell: Callable[[str], None]
    ) -> Iterator[CopyStep]:
        """See `ApdbUrl.copy_from`."""
        raise ApdbConfigurationError(ONLY_TO_CASSANDRA)

    def administration(self) -> Administration:
        """See `ApdbUrl.administration`."""
        return SqlAdministration(self)

    def server(self, patience: Patience) -> ApdbServer:
        """See `ApdbUrl.server`."""
        return read_server(self.conninfo, self.namespace, patience)

    def backups(self, patience: Patience) -> None:
        """See `ApdbUrl.backups`: PostgreSQL has tools of its own for them."""
        return None

    def ring(self, patience: Patience) -> None:
        """See `ApdbUrl.ring`: a server is none."""
        return None

    @property
    def sqlalchemy_url(self) -> str:
        """See `SqlUrl.sqlalchemy_url`: what libpq reads in ours, spelled so that SQLAlchemy reads the same.

        With ``postgresql://`` SQLAlchemy 2.1 takes psycopg 3, on which
        dax_apdb's own `store` fails for the column of NULLs it writes.
        """
        parts = psycopg.conninfo.conninfo_to_dict(self.conninfo)
        query = urllib.parse.urlencode(parts, quote_via=urllib.parse.quote)
        return f"postgresql+psycopg2://?{query}"

    def dax_config(self) -> "ApdbConfig":
        """See `ApdbUrl.dax_config`."""
        return dax_config_of(self)

    def reserve(self) -> None:
        """Do nothing: the database is there."""

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Database | None]:
        """See `SqlUrl.transaction`."""
        with (
            translated(),
            psycopg.connect(self.conninfo, prepare_threshold=None) as server,
            translated(server),
        ):
            # What writes begins as the server is set to begin.
            server.read_only = None if writes else True
            server.execute("SELECT set_config('lock_timeout', %s, true)", [f"{DEFAULT_PATIENCE.lock_seconds:g}s"])
            schema = find_schema(server, self.namespace)
            if schema is None:
                yield None
                return
            if writes:
                server.execute("SELECT pg_advisory_xact_lock(%s, %s)", [schema.lock_class, DATABASE_CELL])

            def execute(statement: str, parameters: tuple[object, ...]) -> psycopg.Cursor[tuple[Any, ...]]:
                return server.execute(sql.SQL(statement.replace("?", "%s")), parameters or None)

            def columns_of(table: str) -> frozenset[str]:
                rows = server.execute(
                    "SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                    "WHERE c.relnamespace = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
                    [schema.oid, table],
                )
                return frozenset(name for (name,) in rows)

            names = {name: schema.full_name(server, name) for name in (*ALL_TABLES, *INDEXES)}
            triggers = PostgresqlTriggers(server, schema, names)
            yield Database(names | _TYPES, columns_of, True, triggers, execute)


class PostgresqlBackend:
    """`Backend` of PostgreSQL."""

    scheme = "postgresql"
    form = "postgresql://host/database"

    def parse(self, rest: str, namespace: str | None) -> PostgresqlUrl:
        """See `Backend.parse`."""
        _check_readable(f"postgresql://{rest}")
        return PostgresqlUrl(f"postgresql://{rest}", namespace)


POSTGRESQL: Final = PostgresqlBackend()


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
    _check_hosts(parts)


def _check_hosts(parts: Mapping[str, object]) -> None:
    """Refuse several servers unless it is said which to take: libpq takes the first that answers, a standby too."""
    hosts = str(parts.get("hostaddr") or parts.get("host") or "").split(",")
    if len(hosts) > 1 and "target_session_attrs" not in parts:
        raise ApdbConfigurationError(
            f"the setting apdb.url names {len(hosts)} servers and does not say which of them to take: add "
            "target_session_attrs=read-write to its parameters, for the one that takes writes"
        )


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
