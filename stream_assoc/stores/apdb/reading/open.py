"""From a URL to a reader, and to an inspection."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE, Patience
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection
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


def open_inspection(
    url: str,
    namespace: str | None = None,
    patience: Patience = DEFAULT_PATIENCE,
    *,
    flag_columns: Sequence[str] = (),
) -> AbstractContextManager[ApdbInspection]:
    """Hold on to one moment of a database, to inspect it.

    Nothing is changed and nobody waits for it, but the database keeps what was
    superseded meanwhile: PostgreSQL in its tables, SQLite in its log.

    Parameters
    ----------
    url, namespace, patience
        As for `open_reader`. The APDB may be another pipeline's.
    flag_columns : sequence of `str`
        DiaSource flags any of which makes a source count as flagged.

    Raises
    ------
    ApdbConfigurationError
        If the URL is of another kind.
    ApdbSchemaError
        If the database is no APDB, or its tables of this package are of another version.
    ApdbUnavailableError
        If the database cannot be reached.
    """
    return parse_url(url, namespace).inspection(patience, flag_columns=flag_columns)
