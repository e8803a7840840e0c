"""What SQLite says, as what the daemon can do about it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.pipeline.exceptions import ApdbError, ApdbUnavailableError
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError, ApdbSchemaError
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.sqlite.apdb import SqliteApdb, translate, translated
from stream_assoc.stores.apdb.sqlite.session import SqliteSession
from stream_assoc.testing.rows import BIG, CELLS, FIRST, SECOND, new_objects

RETRIABLE = {
    sqlite3.SQLITE_FULL: "free space",
    sqlite3.SQLITE_IOERR: "has space",
    sqlite3.SQLITE_IOERR_WRITE: "has space",
    sqlite3.SQLITE_IOERR_SHMSIZE: "has space",
    sqlite3.SQLITE_CANTOPEN: "new files",
    sqlite3.SQLITE_READONLY: "writable",
    sqlite3.SQLITE_BUSY: "apdb.lock_timeout_seconds",
    sqlite3.SQLITE_LOCKED: "apdb.url",
    sqlite3.SQLITE_PROTOCOL: "apdb.url",
}
"""Result codes that pass, and what the message must hold."""

FIRST_PAGES = 8192
"""Bytes of a file that are left whole when it is damaged: it still says what it is."""


def operational(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("SQLite's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", RETRIABLE)
def test_what_passes_is_retriable_and_says_what_to_do(code: int) -> None:
    translated = translate(operational(code))
    assert isinstance(translated, ApdbUnavailableError)
    assert isinstance(translated, RetriableError)
    assert "SQLite's words" in str(translated)
    assert RETRIABLE[code] in str(translated)


@pytest.mark.parametrize("kind", [sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.OperationalError])
def test_what_the_module_refuses_has_no_code_and_is_told(kind: type[sqlite3.DatabaseError]) -> None:
    assert "closed" in str(translate(kind("Cannot operate on a closed database.")))


def test_a_closed_connection_is_told(sqlite_apdb_url: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.close()
    with pytest.raises(ApdbError, match="closed database"), translated():
        connection.execute("SELECT 1")


def test_read_only_names_file_folder_and_user() -> None:
    told = str(translate(operational(sqlite3.SQLITE_READONLY_DIRECTORY)))
    assert f"apdb.url or its folder cannot be written by user {os.geteuid()}" in told
    assert "writable for that user" in told


def test_a_missing_table_is_fatal(sqlite_apdb_url: str) -> None:
    with (
        pytest.raises(ApdbSchemaError, match="no such table"),
        translated(),
        closing(sqlite3.connect(":memory:")) as connection,
    ):
        connection.execute("SELECT * FROM DiaObject")


def test_a_damaged_file_is_fatal(sqlite_apdb_url: str) -> None:
    path = Path(sqlite_apdb_url.removeprefix("sqlite:///"))
    with path.open("r+b") as file:
        file.seek(FIRST_PAGES)
        file.write(b"\xff" * (path.stat().st_size - FIRST_PAGES))
    with pytest.raises(ApdbDamagedError) as caught:
        SqliteApdb(path)
    assert isinstance(caught.value, FatalError)


def test_a_ping_tells_of_a_file_that_is_gone(sqlite_apdb_url: str) -> None:
    path = Path(sqlite_apdb_url.removeprefix("sqlite:///"))
    with closing(SqliteApdb(path)) as apdb:
        apdb.ping()
        path.rename(path.with_suffix(".away"))
        with pytest.raises(ApdbUnavailableError, match=r"is gone.*apdb\.url"):
            apdb.ping()
        path.with_suffix(".away").rename(path)
        apdb.ping()


def test_a_file_that_is_no_database_is_fatal(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear APDB, " * 1000)
    with pytest.raises(ApdbSchemaError, match="not a database"):
        SqliteApdb(path)


def test_a_full_database_refuses_a_batch_whole_and_takes_it_later(sqlite_apdb_url: str) -> None:
    path = Path(sqlite_apdb_url.removeprefix("sqlite:///"))
    with closing(SqliteApdb(path)) as apdb:
        with apdb.exclusive(CELLS) as session:
            session.commit([new_objects(FIRST, [BIG])])
        before = apdb.count_rows()
        with pytest.raises(ApdbUnavailableError, match="free space"):
            store_without_space(apdb)
        assert apdb.count_rows() == before
        with apdb.exclusive(CELLS) as session:
            session.commit([many(SECOND)])
        assert apdb.contains(SECOND)


def store_without_space(apdb: SqliteApdb) -> None:
    with apdb.exclusive(CELLS) as session:
        assert isinstance(session, SqliteSession)
        # The connection's own limit, which SQLite reports as it does a full disk.
        (pages,) = session._connection.execute("PRAGMA page_count").fetchone()
        session._connection.execute(f"PRAGMA max_page_count = {pages}")
        session.commit([many(SECOND)])


def many(batch):
    return new_objects(batch, [BIG + 10 + k for k in range(1000)])


def test_every_commit_is_synced(sqlite_apdb_url: str) -> None:
    apdb = SqliteApdb(sqlite_apdb_url.removeprefix("sqlite:///"), patience=Patience(lock_seconds=1.0))
    with closing(apdb), apdb.exclusive(CELLS) as session:
        assert isinstance(session, SqliteSession)
        pragmas = {
            name: session._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
