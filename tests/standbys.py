"""A primary and its standby: one URL for both, and what has arrived."""

from urllib.parse import parse_qs, urlsplit

import psycopg

from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.documentation.session import wait_until


def url_of(*servers: EmbeddedPostgresql, wanted: str = "read-write") -> str:
    """Return a URL that names these servers and which of them to take."""
    hosts = ",".join(parse_qs(urlsplit(one.url).query)["host"][0] for one in servers)
    return f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs={wanted}"


def await_replay(primary: EmbeddedPostgresql, standby: EmbeddedPostgresql) -> None:
    """Wait until the standby has everything that the primary has now."""
    with (
        psycopg.connect(primary.url, autocommit=True) as there,
        psycopg.connect(standby.url, autocommit=True) as here,
    ):
        end = there.execute("SELECT pg_current_wal_flush_lsn()").fetchall()
        wait_until(lambda: here.execute("SELECT pg_last_wal_replay_lsn() >= %s", end[0]).fetchall() == [(True,)])
