"""Whether a database is one this package may write to, judged by its ``metadata`` table and its columns.

``lsst.dax.apdb`` makes the same checks, but importing it costs seconds that a
daemon's start does not have.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import (
    INIT_REMEDY,
    SCHEMA_VERSION_KEY,
    check_schema_version,
    frozen_configuration,
    report_of,
)
from stream_assoc.stores.apdb.rows.tables import OUR_TABLES
from stream_assoc.stores.apdb.sql.migrations import OUR_VERSION

CONFIGURATION_KEY: Final = "config:apdb-sql.json"

DIA_OBJECT_INDEX: Final = "last_object_table"
"""How dax_apdb is to index DIAObjects: with a table of their latest versions."""


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
    lost = [name for name in OUR_TABLES if name not in tables]
    replication = bool(configuration.get("enable_replica", False))
    return report_of(metadata, lost, OUR_VERSION, replication=replication)


def check_dax(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the frozen configuration of dax_apdb, or tell why its tables cannot be written.

    Raises
    ------
    ApdbSchemaError
        If they are of an incompatible version, or indexed in another way.
    """
    check_schema_version(metadata[SCHEMA_VERSION_KEY])
    configuration = frozen_configuration(metadata, CONFIGURATION_KEY)
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
