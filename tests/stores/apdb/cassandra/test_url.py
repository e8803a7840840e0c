"""What a URL of Cassandra may be, and what is said of one that cannot be read."""

import importlib.util
import subprocess
import sys

import pytest

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.backend import CASSANDRA, CassandraUrl
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("cassandra://h/apdb", CassandraUrl(("h",), "apdb")),
        ("cassandra://h1,h2.example.org/Night_1", CassandraUrl(("h1", "h2.example.org"), "Night_1")),
        ("cassandra://10.0.0.1:9043,10.0.0.2:9043/apdb", CassandraUrl(("10.0.0.1", "10.0.0.2"), "apdb", 9043)),
        ("cassandra://[::1],[fe80::2]:9042/apdb", CassandraUrl(("::1", "fe80::2"), "apdb")),
        ("cassandra://u%20s:p%40%3A%2F@h/apdb", CassandraUrl(("h",), "apdb", user="u s", password="p@:/")),
        ("cassandra://u@h/apdb?password=p%26%3D+%3F", CassandraUrl(("h",), "apdb", user="u", password="p&=+?")),
        (f"cassandra://h/{'k' * 48}", CassandraUrl(("h",), "k" * 48)),
        ("cassandra://h/systems", CassandraUrl(("h",), "systems")),
    ],
)
def test_urls_are_understood(url: str, parsed: CassandraUrl) -> None:
    assert parse_url(url) == parsed


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("secret", "names no keyspace"),
        ("secret/", "names no keyspace"),
        ("h/sec-ret", "names no keyspace"),
        ('h/"secret"', "names no keyspace"),
        ("h/1secret", "names no keyspace"),
        ("h/secret/secret", "names no keyspace"),
        ("h/s\N{LATIN SMALL LETTER E WITH ACUTE}cret", "names no keyspace"),
        ("h/secret\n", "names no keyspace"),
        (f"h/{'s' * 49}", "names no keyspace"),
        ("h/system", "names no keyspace"),
        ("h/system_auth", "names no keyspace"),
        ("/secret", "names no nodes"),
        ("h1,/secret", "names no nodes"),
        ("se cret/k", "names no nodes"),
        ("h:0/secret", "names no nodes"),
        ("h:65536/secret", "names no nodes"),
        ("h:\N{ARABIC-INDIC DIGIT ONE}/secret", "names no nodes"),
        ("h1:9042,h2:9043/secret", "the same for all"),
        ("secret@h/k", "user:password@host"),
        (":secret@h/k", "user:password@host"),
        ("u:@h/secret", "user:password@host"),
        ("u:se@cret@h/k", "user:password@host"),
        ("u:se:cret@h/k", "user:password@host"),
        ("u:se/cret@h/k", "names no keyspace"),
        ("u:secret@h/k?password=secret", "user:password@host"),
        ("u@h/k?password=secret&consistency=ONE", "user:password@host"),
        ("h/k?password=secret", "user:password@host"),
        ("h/k?secret=1", "user:password@host"),
    ],
)
def test_what_cannot_be_read_is_refused_without_being_shown(rest: str, message: str) -> None:
    with pytest.raises(ApdbConfigurationError, match=message) as caught:
        CASSANDRA.parse(rest, None)
    assert "apdb.url" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_cassandra_has_keyspaces_and_no_namespaces() -> None:
    with pytest.raises(ApdbConfigurationError, match=r"apdb\.namespace is for PostgreSQL"):
        parse_url("cassandra://h/k", "night")


def test_user_and_password_are_not_in_the_representation() -> None:
    assert repr(parse_url("cassandra://somebody:secret@h/k")) == "CassandraUrl(hosts=('h',), keyspace='k', port=9042)"


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ApdbConfigurationError, match=r'pip install "stream_assoc\[cassandra\]"'):
        parse_url("cassandra://h/k")


def test_who_reads_urls_does_not_import_the_driver() -> None:
    program = (
        "import sys; from stream_assoc.stores.apdb.backends import parse_url; parse_url('cassandra://h/k'); "
        "assert 'cassandra' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
