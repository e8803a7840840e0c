"""The APDB and the PPDB as SQLAlchemy reads them, each as it is at one time."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from lsst.dax.apdb.sql import ApdbSqlConfig

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.exceptions import reason_of
from stream_assoc.settings import ConfigurationError
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.rows.tables import KEYS, UPDATES
from stream_assoc.tools.replica.compare import Comparison
from stream_assoc.tools.replica.exceptions import ReplicaError, ReplicaUnavailableError
from stream_assoc.tools.replica.place import PpdbPlace
from stream_assoc.tools.replica.records import Key, UpdateRecord, record_of

CHUNK: Final = "apdb_replica_chunk"
APDB_CHUNKS: Final = "ApdbReplicaChunks"
PPDB_CHUNKS: Final = "PpdbReplicaChunk"
_ROWS_AT_ONCE: Final = 2000

Row = Mapping[str, Any]


class Side:
    """One of the two databases.

    Parameters
    ----------
    engine : `sqlalchemy.Engine`
        What connects to it.
    schema : `str` or `None`
        The schema that holds the tables.
    name : `str`
        What errors call it, with the remedy for one that is not there.
    """

    def __init__(self, engine: sa.Engine, schema: str | None, name: str) -> None:
        self.engine = engine
        self.name = name
        self._metadata = sa.MetaData(schema=schema)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self.engine.dialect.name == "sqlite"

    def table(self, name: str) -> sa.Table:
        """Return a table as it is in the database.

        Raises
        ------
        ReplicaError
            If there is none.
        """
        try:
            with translated(self.name):
                return sa.Table(name, self._metadata, autoload_with=self.engine, resolve_fks=False)
        except sa_exc.NoSuchTableError as error:
            raise ReplicaError(f"{self.name} has no table {name}") from error

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Read the database as it is when the block begins."""
        with ExitStack() as stack:
            with translated(self.name):
                connection = stack.enter_context(self.engine.connect())
                if self.is_sqlite:
                    connection.exec_driver_sql("BEGIN")
                else:
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                # A snapshot is taken by the first reading.
                connection.execute(sa.select(sa.func.count()).select_from(self.table("metadata")))
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Change the database, and commit at the end of the block."""
        with translated(self.name), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()


def apdb_side(url: str, namespace: str | None) -> Side:
    """Return the APDB that a URL names.

    Raises
    ------
    ConfigurationError
        If it is not in an SQL database.
    """
    config = parse_url(url, namespace).dax_config()
    if not isinstance(config, ApdbSqlConfig):
        raise ConfigurationError("apdb.url names no SQL database, and only one can be compared with a PPDB")
    return Side(
        sa.create_engine(config.db_url, poolclass=sa.NullPool),
        config.namespace,
        "the APDB (apdb.url; it notes rows for replication only if `apdb init` made it so)",
    )


def ppdb_side(place: PpdbPlace) -> Side:
    """Return a PPDB.

    Raises
    ------
    ConfigurationError
        If its URL cannot be read.
    """
    try:
        url = sa.make_url(place.url)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    except sa_exc.ArgumentError as error:
        raise ConfigurationError("the URL of the PPDB cannot be read; write it as SQLAlchemy takes it") from error
    return Side(engine, place.schema, "the PPDB (made by `ppdb-cli create-sql`; is its schema right?)")


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what SQLAlchemy raises as what a caller can do about it."""
    try:
        yield
    except (sa_exc.OperationalError, sa_exc.TimeoutError) as error:
        told = getattr(error, "orig", None) or error
        raise ReplicaUnavailableError(f"{name} cannot be used now: {reason_of(told)}") from error
    except sa_exc.DBAPIError as error:
        raise ReplicaError(f"{name} refuses what was asked of it: {reason_of(error.orig or error)}") from error


def comparison_of(table: str, apdb: Side, ppdb: Side) -> Comparison:
    """Return how a table is compared: in the columns of the APDB schema that both have."""
    both = set(apdb.table(table).columns.keys()) & set(ppdb.table(table).columns.keys())
    columns = [column for column in apdb_table(table).columns if column.name in both]
    return Comparison(
        table,
        tuple(column.name for column in columns),
        frozenset(column.name for column in columns if column.datatype == "float"),
        mixed=apdb.is_sqlite != ppdb.is_sqlite,
    )


def chunks_of(connection: sa.Connection, side: Side, table: str) -> dict[int, uuid.UUID]:
    """Return the replica chunks of a table of them, with what changes whenever one does."""
    chunks = side.table(table)
    with translated(side.name):
        rows = connection.execute(sa.select(chunks.c[CHUNK], chunks.c.unique_id))
        return {chunk: as_uuid(value) for chunk, value in rows}


def as_uuid(value: object) -> uuid.UUID:
    """Return an identifier that SQLite keeps as text."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


def apdb_rows(
    connection: sa.Connection, side: Side, comparison: Comparison, replicated: Iterable[int]
) -> Iterator[tuple[Key, Row, int | None]]:
    """Yield the rows of a table of the APDB, ascending by key, with the chunk not replicated yet that brings each."""
    keys, done = KEYS[comparison.table], frozenset(replicated)
    rows, notes = side.table(comparison.table), side.table(f"{comparison.table}Chunks")
    joined = rows.outerjoin(notes, sa.and_(*(rows.c[name] == notes.c[name] for name in keys)))
    query = sa.select(*(rows.c[name] for name in comparison.columns), notes.c[CHUNK]).select_from(joined)
    ordered = query.order_by(*(rows.c[name] for name in keys))
    with translated(side.name):
        for key, row, (chunk,) in _stream(connection, ordered, comparison):
            yield key, row, None if chunk in done else chunk


def ppdb_rows(connection: sa.Connection, side: Side, comparison: Comparison) -> Iterator[tuple[Key, Row]]:
    """Yield the rows of a table of the PPDB, ascending by key."""
    rows = side.table(comparison.table)
    query = sa.select(*(rows.c[name] for name in comparison.columns))
    ordered = query.order_by(*(rows.c[name] for name in KEYS[comparison.table]))
    with translated(side.name):
        for key, row, _ in _stream(connection, ordered, comparison):
            yield key, row


def _stream(
    connection: sa.Connection, query: sa.Select[Any], comparison: Comparison
) -> Iterator[tuple[Key, Row, tuple[Any, ...]]]:
    n_columns = len(comparison.columns)
    places = [comparison.columns.index(name) for name in KEYS[comparison.table]]
    for values in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}):
        found = tuple(values)
        row = dict(zip(comparison.columns, found[:n_columns], strict=True))
        yield tuple(found[place] for place in places), row, found[n_columns:]


def awaiting_records(connection: sa.Connection, side: Side, replicated: Iterable[int]) -> Iterator[UpdateRecord]:
    """Yield the update records of chunks that have not been replicated."""
    done = frozenset(replicated)
    records = side.table(UPDATES)
    names = (CHUNK, "update_time_ns", "update_order", "update_unique_id", "update_payload")
    query = sa.select(*(records.c[name] for name in names))
    with translated(side.name):
        for chunk, *rest, payload in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}):
            if chunk not in done:
                time, order, identifier = rest
                yield record_of((chunk, time, order, str(identifier)), payload)
