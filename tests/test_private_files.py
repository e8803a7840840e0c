"""What holds data is for its owner alone, under the usual umask of 022 too."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.sqlite.apdb import SqliteApdb
from stream_assoc.testing.rows import CELLS, FIRST, new_objects


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in files}


def test_an_sqlite_apdb_and_its_log_are_private(tmp_path: Path) -> None:
    init(f"sqlite:///{tmp_path}/apdb.db")
    assert modes(tmp_path)["apdb.db"] == 0o600
    with closing(SqliteApdb(tmp_path / "apdb.db")) as apdb, apdb.exclusive(CELLS) as session:
        session.commit([new_objects(FIRST, [1])])
        found = modes(tmp_path)
    assert {"apdb.db", "apdb.db-wal", "apdb.db-shm"} <= set(found)
    assert set(found.values()) == {0o600}


def test_the_lock_beside_an_apdb_is_for_those_who_may_write_to_it(tmp_path: Path) -> None:
    init(f"sqlite:///{tmp_path}/apdb.db")
    (tmp_path / "apdb.db").chmod(0o660)
    (tmp_path / "apdb.db-exclusive").unlink(missing_ok=True)
    os.umask(0o077)
    with closing(SqliteApdb(tmp_path / "apdb.db")) as apdb, apdb.exclusive(CELLS):
        assert modes(tmp_path)["apdb.db-exclusive"] == 0o660


def test_the_permissions_of_a_file_that_exists_are_its_owners_choice(tmp_path: Path) -> None:
    path = tmp_path / "apdb.db"
    path.touch()
    path.chmod(0o640)
    init(f"sqlite:///{path}")
    assert set(modes(tmp_path).values()) == {0o640}


def test_everything_a_command_writes_is_private(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stream_assoc"]
    simulate = ["simulate", str(tmp_path / "night"), "--visits", "2", "--detectors", "1"]
    for arguments in (simulate, ["apdb", "init", "--set", f"apdb.url=sqlite:///{tmp_path}/apdb.db"]):
        subprocess.run([*command, *arguments], check=True, capture_output=True, cwd=tmp_path)
    found = modes(tmp_path)
    assert len(found) >= 4
    assert {name for name, mode in found.items() if mode & 0o077} == set()
