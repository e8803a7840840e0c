"""Whether a database is one this package may write to, judged by its ``metadata`` table.

``lsst.dax.apdb`` makes the same checks, but importing it costs seconds that a
daemon's start does not have.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from stream_assoc.apdb.exceptions import ApdbSchemaError
from stream_assoc.apdb.rows import PIXEL_LEVEL
from stream_assoc.apdb.statements import IDENTITY_KEY, OUR_TABLES, OUR_VERSION, OUR_VERSION_KEY, PARTITION_KEY
from stream_assoc.model.schema import schema_version

SCHEMA_VERSION_KEY: Final = "version:schema"
CONFIGURATION_KEY: Final = "config:apdb-sql.json"

INIT_REMEDY: Final = "run `stream-assoc apdb init`"


@dataclass(frozen=True, slots=True)
class ApdbReport:
    """What a database says of itself.

    Attributes
    ----------
    schema_version : `str`
        Version of the APDB schema.
    stream_assoc_version : `str`
        Version of our own tables.
    replication : `bool`
        Whether rows are also noted for replication to the PPDB.
    identity : `str`
        Random name of this database's contents and partition, with the
        numbers of where they are. It is part of every cache key, because tile
        versions count from zero in each new database: a cache filled from
        another one must not look current.
    partition : `str`
        HTM levels of the tiles and cells, such as ``10/8``. All daemons must
        agree on them, or their locks and tile versions would not meet.
    """

    schema_version: str
    stream_assoc_version: str
    replication: bool
    identity: str
    partition: str

    def of_copy(self, place: str) -> Self:
        """Return the report of the copy at this place: copies of a database are told apart by it."""
        return replace(self, identity=f"{self.identity}.{place}")


def partition_name(tile_level: int, cell_level: int) -> str:
    """Return how a partition of the sky is written in the database."""
    return f"{tile_level}/{cell_level}"


def check_compatible(metadata: Mapping[str, str], tables: Collection[str]) -> ApdbReport:
    """Return what the database is, or tell what keeps this package from writing to it.

    Parameters
    ----------
    metadata : mapping
        The rows of the ``metadata`` table; empty when there is no such table.
    tables : collection of `str`
        Names of the tables that exist in the APDB's namespace.

    Raises
    ------
    ApdbSchemaError
        If it is no APDB, of an incompatible version, without DiaObjectLast,
        or without our tables.
    """
    if SCHEMA_VERSION_KEY not in metadata:
        raise ApdbSchemaError(f"the database that apdb.url names holds no APDB (apdb.namespace?); {INIT_REMEDY}")
    _check_version("APDB schema", metadata[SCHEMA_VERSION_KEY], schema_version())
    configuration = json.loads(metadata.get(CONFIGURATION_KEY, "{}"))
    if configuration.get("dia_object_index") != "last_object_table":
        raise ApdbSchemaError(
            f"the APDB was created with dia_object_index={configuration.get('dia_object_index')!r}; "
            f"stream_assoc needs 'last_object_table': {INIT_REMEDY} on another database or namespace"
        )
    if configuration.get("htm_level", PIXEL_LEVEL) != PIXEL_LEVEL:
        raise ApdbSchemaError(f"the APDB was created with htm_level={configuration['htm_level']}, not {PIXEL_LEVEL}")
    missing = [name for name in OUR_TABLES if name not in tables]
    missing += [key for key in (OUR_VERSION_KEY, IDENTITY_KEY, PARTITION_KEY) if key not in metadata]
    if missing:
        names = ", ".join(missing)
        raise ApdbSchemaError(f"the APDB lacks what stream_assoc adds to it ({names}); {INIT_REMEDY}")
    if is_older_layout(metadata[OUR_VERSION_KEY]):
        raise ApdbSchemaError(
            f"the database holds version {metadata[OUR_VERSION_KEY]} of the stream_assoc tables and this "
            f"installation writes {OUR_VERSION}; stop every daemon and {INIT_REMEDY}, which brings them up to date"
        )
    _check_version("stream_assoc tables", metadata[OUR_VERSION_KEY], OUR_VERSION)
    return ApdbReport(
        schema_version=metadata[SCHEMA_VERSION_KEY],
        stream_assoc_version=metadata[OUR_VERSION_KEY],
        replication=bool(configuration.get("enable_replica", False)),
        identity=metadata[IDENTITY_KEY],
        partition=metadata[PARTITION_KEY],
    )


def is_older_layout(stored: str) -> bool:
    """Tell whether our tables are of a layout that `stream_assoc.apdb.create.extend` can bring up to date."""
    return stored.startswith("1.")


def is_older(stored: str) -> bool:
    """Tell whether our tables are of a version before this one's."""
    return _numbers(stored) < _numbers(OUR_VERSION)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _check_version(what: str, stored: str, ours: str) -> None:
    """Apply dax_apdb's rule: same major version, and a minor version not newer than ours."""
    stored_major, stored_minor = _numbers(stored)
    major, minor = _numbers(ours)
    if stored_major != major or stored_minor > minor:
        raise ApdbSchemaError(
            f"the database holds version {stored} of the {what} and this installation writes {ours}; "
            "migrate the database or install matching lsst-sdm-schemas and stream_assoc"
        )
