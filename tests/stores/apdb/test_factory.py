from pathlib import Path

import pytest
import sqlalchemy
from lsst.dax.apdb.sql import ApdbSql, ApdbSqlConfig

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.backend import POSTGRESQL, PostgresqlUrl
from stream_assoc.stores.apdb.sqlite.backend import SqliteUrl


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("sqlite:///a/b.db", SqliteUrl(Path("a/b.db"))),
        ("sqlite:////a/b.db", SqliteUrl(Path("/a/b.db"))),
        ("sqlite:///a%20b/c d.db", SqliteUrl(Path("a b/c d.db"))),
        ("sqlite:////a/%C3%A4.db", SqliteUrl(Path("/a/ä.db"))),
        ("postgresql://u:p@h/d", PostgresqlUrl("postgresql://u:p@h/d")),
        ("postgresql+psycopg2://h/d?sslmode=require", PostgresqlUrl("postgresql://h/d?sslmode=require")),
    ],
)
def test_urls_are_understood(url: str, parsed) -> None:
    assert parse_url(url) == parsed


@pytest.mark.parametrize(
    "name",
    [
        "a?mode=ro",
        "a.db?",
        "a%3Fb",
        "a#b",
        "a%23b",
        "50%25",
        "50%",
        "a%zz",
        "a%00b",
        ":memory:",
        "%3Amemory%3A",
        "file:a.db",
        "file%3Aa.db?uri=true",
        "a%0Ab",
    ],
)
def test_a_name_that_others_read_in_another_way_is_refused(name: str) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.url"):
        parse_url(f"sqlite:///{name}")


@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "ä&=+@:é.db", "a;b,c'd\"e.db"])
def test_dax_apdb_and_we_read_one_name(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/{name}"
    init(url)
    parsed = parse_url(url)
    assert isinstance(parsed, SqliteUrl)
    assert [path for path in tmp_path.iterdir() if path.suffix == ".db"] == [parsed.path]
    assert ApdbSql(ApdbSqlConfig(db_url=parsed.sqlalchemy_url)).tableRowCount()["DiaSource"] == 0
    open_apdb(url).close()


@pytest.mark.parametrize(
    ("place", "hosts", "ports"),
    [("h1,h2:5433", "h1,h2", ",5433"), ("h1,h2", "h1,h2", ","), ("[::1]:5433,h2:5434", "::1,h2", "5433,5434")],
)
def test_dax_apdb_gets_several_servers_each_with_its_port(place: str, hosts: str, ports: str) -> None:
    url = POSTGRESQL.parse(f"daemon@{place}/apdb?target_session_attrs=read-write", None)
    translated = sqlalchemy.make_url(url.sqlalchemy_url)
    _, arguments = translated.get_dialect()().create_connect_args(translated)
    assert (arguments["host"], arguments["port"]) == (hosts, ports)
    assert arguments["target_session_attrs"] == "read-write"


def test_dax_apdb_gets_the_driver_it_works_with_and_what_libpq_reads() -> None:
    url = POSTGRESQL.parse(
        "us%20er:p%40+ss@h1:5432,h2:5433/d%2Fb?options=-csearch_path%3Da&"
        "sslmode=require&target_session_attrs=read-write",
        None,
    )
    translated = sqlalchemy.make_url(url.sqlalchemy_url)
    assert translated.drivername == "postgresql+psycopg2"
    _, arguments = translated.get_dialect()().create_connect_args(translated)
    assert arguments == {
        "user": "us er",
        "password": "p@+ss",
        "host": "h1,h2",
        "port": "5432,5433",
        "dbname": "d/b",
        "options": "-csearch_path=a",
        "sslmode": "require",
        "target_session_attrs": "read-write",
    }


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "u:secret@h", "", "sqlite://", "sqlite:///", "sqlite://secret"]
)
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.url") as caught:
        open_apdb(url)
    assert "secret" not in str(caught.value)


def test_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(parse_url("postgresql://u:secret@h/d"))


def test_sqlite_has_no_namespaces() -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.namespace"):
        open_apdb("sqlite:///x", "namespace")


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("sslmode=secret", "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("target_session_attrs=secret", "target_session_attrs must be one of any"),
        ("channel_binding=secret", "channel_binding must be one of"),
        ("gssencmode=secret", "gssencmode must be one of"),
        ("load_balance_hosts=secret", "load_balance_hosts must be one of"),
        ("connect_timeout=secret", "connect_timeout must be a whole number"),
        ("port=65536", "host:port"),
        ("port=0", "host:port"),
        ("port=%D9%A1%D9%A2", "host:port"),
    ],
)
def test_parameters_that_libpq_refuses_only_when_it_connects_are_no_server_that_is_away(
    parameter: str, message: str
) -> None:
    with pytest.raises(ApdbConfigurationError, match=message) as caught:
        parse_url(f"postgresql://h/d?{parameter}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rest", ["h1,h2/d", "/d?host=h1,h2&port=5432,5433", "/d?hostaddr=10.0.0.1,10.0.0.2"])
def test_several_servers_are_refused_unless_it_is_said_which_to_take(rest: str) -> None:
    with pytest.raises(ApdbConfigurationError, match="add target_session_attrs=read-write"):
        parse_url(f"postgresql://{rest}")
    told = f"postgresql://{rest}{'&' if '?' in rest else '?'}target_session_attrs=read-write"
    assert parse_url(told) == PostgresqlUrl(told)


def test_words_that_libpq_takes_are_taken() -> None:
    url = "postgresql://h1:1,h2:65535/d?sslmode=verify-full&target_session_attrs=primary&connect_timeout=-1"
    assert parse_url(url) == PostgresqlUrl(url)
