from pathlib import Path

import pytest

from stream_assoc.apdb.exceptions import ApdbConfigurationError
from stream_assoc.apdb.factory import PostgresqlUrl, SqliteUrl, open_apdb, parse_url


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("sqlite:///a/b.db", SqliteUrl(Path("a/b.db"))),
        ("sqlite:////a/b.db", SqliteUrl(Path("/a/b.db"))),
        ("postgresql://u:p@h/d", PostgresqlUrl("postgresql://u:p@h/d")),
        ("postgresql+psycopg2://h/d?sslmode=require", PostgresqlUrl("postgresql://h/d?sslmode=require")),
    ],
)
def test_urls_are_understood(url, parsed) -> None:
    assert parse_url(url) == parsed


def test_dax_apdb_gets_the_driver_it_works_with() -> None:
    assert parse_url("postgresql://u:p@h/d").sqlalchemy_url == "postgresql+psycopg2://u:p@h/d"


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "u:secret@h", "", "sqlite://", "sqlite:///", "sqlite://secret"]
)
def test_other_urls_are_refused_without_being_shown(url) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.url") as caught:
        open_apdb(url)
    assert "secret" not in str(caught.value)


def test_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(parse_url("postgresql://u:secret@h/d"))


def test_sqlite_has_no_namespaces() -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.namespace"):
        open_apdb("sqlite:///x", "namespace")
