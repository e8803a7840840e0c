"""A PPDB is named by a file or a URL."""

from pathlib import Path

import pytest

from stream_assoc.settings import ConfigurationError
from stream_assoc.tools.replica.place import PpdbPlace, ppdb_place


def test_a_url_is_taken_as_it_is() -> None:
    assert ppdb_place("sqlite:///ppdb.db") == PpdbPlace("sqlite:///ppdb.db")
    assert ppdb_place("postgresql://h/d", "ppdb") == PpdbPlace("postgresql://h/d", "ppdb")


def test_a_file_names_url_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "ppdb.yaml"
    path.write_text("implementation_type: sql\ndb_url: postgresql://h/d\nschema_name: ppdb\n", encoding="utf-8")
    assert ppdb_place(str(path)) == PpdbPlace("postgresql://h/d", "ppdb")
    assert ppdb_place(str(path), "other") == PpdbPlace("postgresql://h/d", "other")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("implementation_type: bigquery\n", "'bigquery'"),
        ("implementation_type: sql\n", "names no PPDB"),
        ("[1, 2]", "names no PPDB"),
        ("{", "no YAML"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "ppdb.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        ppdb_place(str(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        ppdb_place(str(tmp_path / "ppdb.yaml"))


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(PpdbPlace("postgresql://u:secret@h/d"))
