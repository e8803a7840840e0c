"""One moment of an APDB in PostgreSQL, for as long as its inspection takes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final

from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.catalogue import Catalogue, read_catalogue
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection, Connector, translated
from stream_assoc.stores.apdb.postgresql.reading import ESTIMATED, ESTIMATES
from stream_assoc.stores.apdb.postgresql.session_reader import PostgresqlSessionReader
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.sql.statements import point_expressions

_SILENCE_SECONDS: Final = 3600.0
"""A statement reads some ten thousand rows, unless very many share a key."""

_SETTINGS: Final = {
    "default_transaction_read_only": "on",
    # The transaction may also wait for whoever reads what is found.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Rows of other tables are looked up by key. Without statistics of the
    # tables the planner would rather read all of them, for each stretch anew.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}


class PostgresqlMoment:
    """`SqlMoment` in a transaction that reads what was committed before it began (REPEATABLE READ).

    Parameters
    ----------
    connection : `BoundedConnection`
        In that transaction.
    catalogue : `Catalogue`
    """

    def __init__(self, connection: BoundedConnection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue

    def fetch(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `SqlMoment.fetch`."""
        text = statement.format(**self._catalogue.names).replace("?", "%s").encode()
        return self._connection.execute(text, parameters or None, binary=True).fetchall()

    def column_names(self, table: str) -> list[str]:
        """See `SqlMoment.column_names`."""
        return [column.name for column in self._catalogue.columns.get(table, ())]

    def estimated_rows(self) -> Mapping[str, int]:
        """See `SqlMoment.estimated_rows`."""
        return dict(self.fetch(ESTIMATES, (json.dumps({name: self._catalogue.names[name] for name in ESTIMATED}),)))

    def reader(self, flag_columns: Sequence[str]) -> SessionReader:
        """See `SqlMoment.reader`."""
        points = point_expressions(flag_columns, "strpos")
        return PostgresqlSessionReader(self._connection, self._catalogue.names, 0, points)


@contextmanager
def moment_of(conninfo: str, namespace: str | None, patience: Patience) -> Iterator[PostgresqlMoment]:
    """Hold on to this moment of a database.

    Raises
    ------
    ApdbSchemaError
        If the schema does not exist.
    ApdbUnavailableError
        If the server is or becomes unavailable.
    """
    with closing(Connector(conninfo, _SETTINGS, patience).connect()) as connection, translated():
        connection.silence_seconds = _SILENCE_SECONDS
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield PostgresqlMoment(connection, read_catalogue(connection, namespace))
