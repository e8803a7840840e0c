"""From a URL to a reader."""

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.port import ApdbReader


def open_reader(
    url: str, namespace: str | None = None, patience: Patience = DEFAULT_PATIENCE, *, any_version: bool = False
) -> ApdbReader:
    """Return a reader of a database; close it after use.

    Parameters
    ----------
    url : `str`
        See `~stream_assoc.stores.apdb.backends.parse_url`.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    patience : `Patience`
        How long to wait for the database.
    any_version : `bool`
        Accept an APDB of another version of this package, or of another
        pipeline. Only the questions about dax_apdb's tables, and
        `ApdbReader.all_further_statistics`, can be asked then.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind.
    ApdbSchemaError
        If the database is no APDB prepared for this version.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    return parse_url(url, namespace).open_reader(patience, any_version=any_version)
