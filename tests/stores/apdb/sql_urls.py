"""URLs of the backends that speak SQL."""

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.postgresql.backend import PostgresqlUrl
from stream_assoc.stores.apdb.sqlite.backend import SqliteUrl


def sql_url(url: str) -> SqliteUrl | PostgresqlUrl:
    parsed = parse_url(url)
    assert isinstance(parsed, SqliteUrl | PostgresqlUrl)
    return parsed
