"""The backends of the APDB. To add one, add its folder, and its object to this list."""

from typing import Final

from stream_assoc.stores.apdb.backend import ApdbUrl, Backend
from stream_assoc.stores.apdb.cassandra.backend import CASSANDRA
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.postgresql.backend import POSTGRESQL
from stream_assoc.stores.apdb.sqlite.backend import SQLITE

BACKENDS: Final[tuple[Backend, ...]] = (SQLITE, POSTGRESQL, CASSANDRA)


def parse_url(url: str, namespace: str | None = None) -> ApdbUrl:
    """Return the APDB that a URL names.

    Parameters
    ----------
    url : `str`
        ``sqlite:///relative/path``, ``sqlite:////absolute/path``, percent-encoded, or
        ``postgresql://user:password@host:port/database``; a SQLAlchemy driver
        after the scheme (``postgresql+psycopg2``) is ignored. Or
        ``cassandra://user:password@host1,host2/keyspace``.
    namespace : `str`, optional
        PostgreSQL schema that holds the tables.

    Raises
    ------
    ApdbConfigurationError
        If no backend takes it. The message never holds the URL itself.
    """
    scheme, separator, rest = url.partition("://")
    if separator:
        for backend in BACKENDS:
            if scheme.partition("+")[0] == backend.scheme:
                return backend.parse(rest, namespace)
    shown = f"begins with {scheme!r}" if separator else "has no scheme"
    forms = " or ".join(backend.form for backend in BACKENDS)
    raise ApdbConfigurationError(f"the setting apdb.url {shown}; use {forms}")
