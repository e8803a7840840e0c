"""Which PPDB is meant: the configuration file that ``ppdb-cli create-sql`` writes, or a URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stream_assoc.settings import ConfigurationError

_REMEDY = "give the file that `ppdb-cli create-sql` wrote, or a URL such as postgresql+psycopg2://host/database"


@dataclass(frozen=True, slots=True)
class PpdbPlace:
    """Where a PPDB is.

    Attributes
    ----------
    url : `str`
        As SQLAlchemy reads it; it may hold a password and is never shown.
    schema : `str` or `None`
        The schema that holds the tables; `None`: the database's default.
    """

    url: str = field(repr=False)
    schema: str | None = None


def ppdb_place(text: str, schema: str | None = None) -> PpdbPlace:
    """Return the PPDB that a path or a URL names.

    Parameters
    ----------
    text : `str`
        Path of a configuration file of lsst-dax-ppdb, or a URL of SQLAlchemy.
    schema : `str`, optional
        The schema that holds the tables, instead of the file's.

    Raises
    ------
    ConfigurationError
        If there is no such file, or it names no SQL database.
    """
    if "://" in text:
        return PpdbPlace(text, schema)
    try:
        content = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{text}: there is no such file; {_REMEDY}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{text} is no YAML file; {_REMEDY}") from error
    values: Mapping[str, Any] = content if isinstance(content, dict) else {}
    kind, url = values.get("implementation_type"), values.get("db_url")
    if kind != "sql" or not isinstance(url, str):
        raise ConfigurationError(
            f"{text} names no PPDB in an SQL database (implementation_type is {kind!r}); {_REMEDY}"
        )
    return PpdbPlace(url, schema or values.get("schema_name"))
