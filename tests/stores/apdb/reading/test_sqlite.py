import shutil
from pathlib import Path

import pytest

from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.reading.open import open_reader
from tests.stores.apdb.reading.conformance import SqlReaderConformance


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    init(f"sqlite:///{path}")
    return path


class TestSqlite(SqlReaderConformance):
    @pytest.fixture
    def stored(self, sqlite_night):
        return sqlite_night

    @pytest.fixture
    def empty_url(self, empty_file) -> str:
        return f"sqlite:///{empty_file}"

    @pytest.fixture
    def missing_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'nothing.db'}"

    def test_a_file_in_a_folder_that_takes_no_writes_can_be_read(self, empty_file, tmp_path: Path) -> None:
        copy = tmp_path / "copy.db"
        shutil.copy(empty_file, copy)
        copy.chmod(0o444)
        reader = open_reader(f"sqlite:///{copy}")
        assert reader.overview().n_objects == 0
        reader.close()

    def test_it_has_no_namespaces(self, empty_url: str) -> None:
        with pytest.raises(ApdbConfigurationError, match=r"apdb\.namespace"):
            open_reader(empty_url, "other")
