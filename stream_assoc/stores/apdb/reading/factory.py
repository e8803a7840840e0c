"""From a URL to an archive."""

from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.factory import PostgresqlUrl, parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.postgresql.reading import PostgresqlDatabase
from stream_assoc.stores.apdb.reading.archive import Archive
from stream_assoc.stores.apdb.sqlite.reading import SqliteDatabase


def open_archive(url: str, namespace: str | None = None, patience: Patience = DEFAULT_PATIENCE) -> Archive:
    """Return the archive of a database, its schema checked.

    Parameters
    ----------
    url : `str`
        See `~stream_assoc.stores.apdb.factory.parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    patience : `Patience`
        How long to wait for the database.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind.
    ApdbSchemaError
        If the database is no APDB prepared for this version.
    ApdbUnavailableError
        If it cannot be reached.
    """
    parsed = parse_url(url)
    if isinstance(parsed, PostgresqlUrl):
        return Archive(PostgresqlDatabase(parsed.conninfo, namespace, patience))
    if namespace is not None:
        raise ApdbConfigurationError("the setting apdb.namespace is for PostgreSQL; SQLite has no namespaces")
    return Archive(SqliteDatabase(parsed.path, patience))
