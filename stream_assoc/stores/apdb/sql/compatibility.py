"""Whether a database is one this package may write to, judged by its ``metadata`` table and its columns.

``lsst.dax.apdb`` makes the same checks, but importing it costs seconds that a
daemon's start does not have.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.schema import apdb_table, schema_version
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.sql.migrations import OUR_VERSION, numbers
from stream_assoc.stores.apdb.sql.statements import (
    CACHE_SECRET_KEY,
    FURTHER,
    IDENTITY_KEY,
    NOTES,
    OUR_TABLES,
    OUR_VERSION_KEY,
    PARTITION_KEY,
)

SCHEMA_VERSION_KEY: Final = "version:schema"
CONFIGURATION_KEY: Final = "config:apdb-sql.json"

DIA_OBJECT_INDEX: Final = "last_object_table"
"""How dax_apdb is to index DIAObjects: with a table of their latest versions."""

INIT_REMEDY: Final = "run `stream-assoc apdb init`"


def partition_name(tile_level: int, cell_level: int) -> str:
    """Return how a partition of the sky is written in the database."""
    return f"{tile_level}/{cell_level}"


def tile_level_of(partition: str) -> int:
    """Return the level of the tiles of a partition as it is written in the database.

    Raises
    ------
    ApdbSchemaError
        If it is damaged.
    """
    tile_level, _, _ = partition.partition("/")
    if not tile_level.isdecimal():
        raise ApdbSchemaError(f"the row {PARTITION_KEY} of the APDB's table metadata is damaged: {partition!r}")
    return int(tile_level)


def check_compatible(metadata: Mapping[str, str], tables: Collection[str]) -> ApdbReport:
    """Return what the database is, or tell what keeps this package from using it.

    Parameters
    ----------
    metadata : mapping
        The rows of the ``metadata`` table; empty when there is no such table.
    tables : collection of `str`
        Names of the tables that exist in the APDB's namespace.

    Raises
    ------
    ApdbSchemaError
        If it is no APDB, of another version, without DiaObjectLast, or
        without our tables.
    """
    if SCHEMA_VERSION_KEY not in metadata:
        raise ApdbSchemaError(f"the database that apdb.url names holds no APDB (apdb.namespace?); {INIT_REMEDY}")
    configuration = check_dax(metadata)
    if OUR_VERSION_KEY in metadata:
        check_migrated(metadata[OUR_VERSION_KEY])
    missing = [name for name in OUR_TABLES if name not in tables]
    missing += [key for key in NOTES if key not in metadata]
    if missing:
        names = ", ".join(missing)
        raise ApdbSchemaError(f"the APDB lacks what stream_assoc adds to it ({names}); {INIT_REMEDY}")
    return ApdbReport(
        schema_version=metadata[SCHEMA_VERSION_KEY],
        stream_assoc_version=metadata[OUR_VERSION_KEY],
        replication=bool(configuration.get("enable_replica", False)),
        identity=metadata[IDENTITY_KEY],
        partition=metadata[PARTITION_KEY],
        cache_secret=metadata[CACHE_SECRET_KEY],
    )


def check_dax(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the frozen configuration of dax_apdb, or tell why its tables cannot be written.

    Raises
    ------
    ApdbSchemaError
        If they are of an incompatible version, or indexed in another way.
    """
    stored, ours = metadata[SCHEMA_VERSION_KEY], schema_version()
    (major, minor), (our_major, our_minor) = numbers(stored), numbers(ours)
    # dax_apdb's own rule.
    if major != our_major or minor > our_minor:
        raise ApdbSchemaError(
            f"the database holds version {stored} of the APDB schema and this installation writes {ours}; "
            "migrate the database with lsst.dax.apdb's own scripts, or install matching lsst-sdm-schemas"
        )
    try:
        configuration: dict[str, Any] = dict(json.loads(metadata.get(CONFIGURATION_KEY, "{}")))
    except (ValueError, TypeError) as error:
        raise ApdbSchemaError(
            f"the row {CONFIGURATION_KEY} of the APDB's table metadata is damaged: {error}"
        ) from error
    if configuration.get("dia_object_index") != DIA_OBJECT_INDEX:
        raise ApdbSchemaError(
            f"the APDB was created with dia_object_index={configuration.get('dia_object_index')!r}; "
            f"stream_assoc needs {DIA_OBJECT_INDEX!r}: {INIT_REMEDY} on another database or namespace"
        )
    if configuration.get("htm_level", PIXEL_ID_LEVEL) != PIXEL_ID_LEVEL:
        raise ApdbSchemaError(
            f"the APDB was created with htm_level={configuration['htm_level']}, not {PIXEL_ID_LEVEL}"
        )
    return configuration


def check_migrated(stored: str) -> None:
    """Tell whether our tables are of another version than this installation's.

    Raises
    ------
    ApdbSchemaError
        If they are. The message names the remedy.
    """
    check_not_newer(stored)
    if numbers(stored) < numbers(OUR_VERSION):
        raise ApdbSchemaError(
            f"the database holds version {stored} of the stream_assoc tables and this "
            f"installation writes {OUR_VERSION}; stop every daemon and {INIT_REMEDY}, which brings them up to date "
            "(--dry-run tells what it would do)"
        )


def check_not_newer(stored: str) -> None:
    """Tell whether our tables are of a version to come.

    Raises
    ------
    ApdbSchemaError
        If they are: nothing of this installation may write to them, or change them.
    """
    if numbers(stored) > numbers(OUR_VERSION):
        raise ApdbSchemaError(
            f"the database holds version {stored} of the stream_assoc tables and this installation writes "
            f"{OUR_VERSION}: a later stream_assoc has migrated it; install that one"
        )


def check_columns(columns: Mapping[str, Collection[str]], statistics: Collection[str]) -> None:
    """Tell whether a row would lose a value when it is stored.

    Parameters
    ----------
    columns : mapping
        Columns of the tables that exist.
    statistics : collection of `str`
        Columns beside DiaObject that will be written besides
        `~stream_assoc.core.model.further_statistics`.

    Raises
    ------
    ApdbSchemaError
        If a table lacks a column of what this installation writes.
    """
    for table in ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource"):
        if lost := _missing(apdb_table(table).names, columns.get(table, ())):
            raise ApdbSchemaError(
                f"the APDB's table {table} lacks {lost}, which version {schema_version()} of the APDB schema has and "
                "this installation writes; migrate the database with lsst.dax.apdb's own scripts, or install the "
                "lsst-sdm-schemas that it was made with"
            )
    names = [*(column.name for column in further_statistics()), *statistics]
    if lost := _missing(names, columns.get(FURTHER, ())):
        raise ApdbSchemaError(
            f"the APDB's table {FURTHER} lacks {lost}, statistics that would be computed and lost; stop every daemon "
            f"and {INIT_REMEDY} with these settings (statistics.plugins), which adds them"
        )


def _missing(names: Sequence[str], there: Collection[str]) -> str:
    return ", ".join(name for name in names if name not in there)


def check_unchanged(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Tell whether the database has been migrated or divided anew since this process opened it.

    Parameters
    ----------
    before, now : mapping
        The rows of the ``metadata`` table, at least `NOTES`.

    Raises
    ------
    ApdbSchemaError
        If it has: what this process would write is no longer right.
    """
    changed = [key for key in NOTES if before.get(key) != now.get(key)]
    if changed:
        raise ApdbSchemaError(
            f"the APDB was changed by `stream-assoc apdb init` while this process ran ({', '.join(changed)}); start "
            "it anew"
        )
