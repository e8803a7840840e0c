"""URLs of the backends that speak SQL."""

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.postgresql.backend import PostgresqlUrl
from stream_assoc.stores.apdb.sqlite.backend import SqliteUrl


def sql_url(url: str) -> SqliteUrl | PostgresqlUrl:
    parsed = parse_url(url)
    assert isinstance(parsed, SqliteUrl | PostgresqlUrl)
    return parsed


def drop_triggers(url: str) -> None:
    """Take the triggers out of an APDB, as for one that never had any."""
    with sql_url(url).transaction(writes=True) as database:
        assert database is not None
        database.run_all(database.triggers.drop())
