"""A small APDB and a PPDB that was made and filled by hand, both SQLite files."""

import datetime
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.testing.rows import BIG, changes, dia_object, forced, source, store

N = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """The two files."""

    apdb: Path
    ppdb: Path

    @property
    def apdb_url(self) -> str:
        return f"sqlite:///{self.apdb}"

    @property
    def ppdb_url(self) -> str:
        return f"sqlite:///{self.ppdb}"

    def change(self, which: str, statement: str, *parameters: object) -> None:
        with closing(sqlite3.connect(self.apdb if which == "apdb" else self.ppdb)) as connection, connection:
            connection.execute(statement, parameters)

    def select(self, which: str, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.apdb if which == "apdb" else self.ppdb)) as connection:
            return connection.execute(statement).fetchall()


def replicated_pair(folder: Path) -> Pair:
    """Return an APDB of four visits of one source each, in a chunk each, and a PPDB that has copied all of them."""
    pair = Pair(folder / "apdb.db", folder / "ppdb.db")
    init(pair.apdb_url)
    with closing(open_apdb(pair.apdb_url)) as apdb:
        for k in range(N):
            time = 60000.6 + 0.01 * k
            batch = BatchId(k + 1, 1)
            store(
                apdb,
                changes(
                    batch,
                    [source(BIG + k, raErr=float("nan"))],
                    [dia_object(BIG + k, time)],
                    [forced(k, BIG + k, *batch)],
                    time=time,
                    delta=1,
                ),
            )
    with closing(sqlite3.connect(pair.ppdb)) as connection, connection:
        connection.execute("ATTACH ? AS apdb", (str(pair.apdb),))
        connection.execute("CREATE TABLE metadata (name TEXT PRIMARY KEY, value TEXT)")
        for table in KEYS:
            (definition,) = connection.execute(
                "SELECT sql FROM apdb.sqlite_master WHERE name = ?", (table,)
            ).fetchone()
            connection.execute(definition)
            connection.execute(f'INSERT INTO main."{table}" SELECT * FROM apdb."{table}"')
            # A PPDB has the columns of the schema only.
            if table != "DiaForcedSource":
                connection.execute(f'ALTER TABLE main."{table}" DROP COLUMN "pixelId"')
        connection.execute(
            "CREATE TABLE PpdbReplicaChunk (apdb_replica_chunk BIGINT PRIMARY KEY, "
            "last_update_time TIMESTAMP NOT NULL, unique_id CHAR(32) NOT NULL, replica_time TIMESTAMP NOT NULL)"
        )
        connection.execute(
            "INSERT INTO main.PpdbReplicaChunk "
            "SELECT apdb_replica_chunk, last_update_time, unique_id, last_update_time FROM apdb.ApdbReplicaChunks"
        )
    return pair


def another_chunk() -> tuple[object, ...]:
    """Return a row of PpdbReplicaChunk that no APDB has."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).isoformat()
    return (17, now, uuid.UUID(int=17).hex, now)
