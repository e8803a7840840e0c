"""A prepared APDB that one test after another uses: it is emptied in between, because making one takes seconds."""

from collections.abc import Collection
from typing import Any

import numpy as np

from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.stores.apdb.backend import ClusterChoices
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.compatibility import METADATA, read_notes, read_tables
from stream_assoc.stores.apdb.notes import new_names
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE

ONE_NODE = ClusterChoices(replication_factor=1)


class PreparedApdb:
    """An APDB with replication on one node.

    Parameters
    ----------
    url : `CassandraUrl`
        A keyspace that is not there yet.
    choices : `ClusterChoices`, optional
        How it is laid out.
    """

    def __init__(self, url: CassandraUrl, choices: ClusterChoices = ONE_NODE) -> None:
        url.administration().init(drop=False, replication=True, tile_level=10, cell_level=8, cluster=choices)
        self.url = url
        self._connection = url.connect(DEFAULT_PATIENCE)
        # What is not in the commit log need not be flushed before it is truncated, which takes a third of the time.
        self._connection.change_tables(f'ALTER KEYSPACE "{url.keyspace}" WITH durable_writes = false')
        self._notes = read_notes(self._connection)
        self._tables = sorted(read_tables(self._connection))

    def emptied(self) -> str:
        """Return the URL as a setting names it, after `empty`."""
        self.empty()
        return written(self.url)

    def empty(self) -> None:
        """Delete all rows, and make another APDB of it, with an identity and a secret of its own."""
        # By TRUNCATE: a deleted row would hide what the next test writes at an earlier time.
        for table in self._tables:
            if self._connection.read(f'SELECT * FROM "{table}" LIMIT 1'):
                self._connection.change_tables(f'TRUNCATE "{table}"')
        for note in (self._notes | new_names()).items():
            self._connection.write(f"INSERT INTO {METADATA} (meta_part, name, value) VALUES (0, ?, ?)", *note)

    def close(self) -> None:
        """Drop the keyspace."""
        self._connection.change_tables(f'DROP KEYSPACE "{self.url.keyspace}"')
        self._connection.close()


def written(url: CassandraUrl) -> str:
    """Return a URL as a user writes it."""
    return f"cassandra://{','.join(url.hosts)}/{url.keyspace}"


def select(client: Any, table: str, *columns: str) -> list[tuple[object, ...]]:
    """Return columns of a table as the client of dax_apdb has it, sorted; ``pixelId``, which SQL has, is computed."""
    names = [name for column in columns for name in (("ra", "dec") if column == "pixelId" else (column,))]
    quoted = ", ".join(f'"{name}"' for name in names)
    stored = f"{table}2" if table.startswith("Dia") and table.endswith("Chunks") else table
    session, keyspace = client._context.session, client._keyspace
    rows = session.execute(f'SELECT {quoted} FROM "{keyspace}"."{stored}"', execution_profile="read_tuples")
    return sorted((_without_position(tuple(row), columns) for row in rows), key=_sortable)


def _without_position(row: tuple[Any, ...], columns: Collection[str]) -> tuple[object, ...]:
    values, chosen = iter(row), list[object]()
    for column in columns:
        if column == "pixelId":
            ra, dec = np.array([next(values)]), np.array([next(values)])
            chosen.append(int(htm_index(ra, dec, PIXEL_ID_LEVEL)[0]))
        else:
            chosen.append(next(values))
    return tuple(chosen)


def _sortable(row: tuple[object, ...]) -> tuple[tuple[bool, object], ...]:
    return tuple((value is not None, value) for value in row)
