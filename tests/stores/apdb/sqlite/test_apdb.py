import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backend import ApdbUrl
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.sqlite.apdb import SqliteApdb
from stream_assoc.testing.rows import CELLS
from stream_assoc.testing.sql import SqlConformance


class TestSqlite(SqlConformance):
    @pytest.fixture
    def place(self, sqlite_apdb_url: str) -> ApdbUrl:
        return parse_url(sqlite_apdb_url)


def symbolic_link(path: Path) -> str:
    link = path.with_name("link.db")
    link.symlink_to(path)
    return str(link)


def link_to_the_folder(path: Path) -> str:
    folder = path.parent / "folder"
    folder.symlink_to(path.parent)
    return str(folder / path.name)


def relative_path(path: Path) -> str:
    return os.path.relpath(path)


def roundabout_path(path: Path) -> str:
    (path.parent / "below").mkdir()
    return str(path.parent / "below" / ".." / path.name)


@pytest.mark.parametrize("name", [symbolic_link, link_to_the_folder, relative_path, roundabout_path])
def test_one_file_has_one_lock_whatever_it_is_called(sqlite_apdb_url: str, name: Callable[[Path], str]) -> None:
    path = Path(sqlite_apdb_url.removeprefix("sqlite:///"))
    apdb, other = SqliteApdb(path), SqliteApdb(name(path), patience=Patience(lock_seconds=0.05))
    with apdb.exclusive(CELLS), pytest.raises(ApdbUnavailableError, match="locked"), other.exclusive(CELLS):
        pass
    assert other.report == apdb.report
    apdb.close()
    other.close()


def test_a_file_keeps_its_name_when_the_process_goes_elsewhere(
    sqlite_apdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    apdb = SqliteApdb(Path(sqlite_apdb_url).name)
    monkeypatch.chdir("/")
    with apdb.exclusive(CELLS):
        assert apdb.known_tiles().tolist() == []
    apdb.close()


def test_a_file_of_several_names_is_refused(sqlite_apdb_url: str) -> None:
    path = Path(sqlite_apdb_url.removeprefix("sqlite:///"))
    path.with_name("other.db").hardlink_to(path)
    for open_it in (open_apdb, init):
        with pytest.raises(ApdbConfigurationError, match="hard links"):
            open_it(sqlite_apdb_url)


def test_a_copy_of_a_file_has_an_identity_of_its_own(sqlite_apdb_url: str, tmp_path: Path) -> None:
    """Else tiles that are cached of the one would look current to the other."""
    shutil.copy(sqlite_apdb_url.removeprefix("sqlite:///"), tmp_path / "copy.db")
    first, second = open_apdb(sqlite_apdb_url), open_apdb(f"sqlite:///{tmp_path / 'copy.db'}")
    assert first.report.identity != second.report.identity
    first.close()
    second.close()
