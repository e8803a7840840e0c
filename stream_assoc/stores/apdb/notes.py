"""Our notes in dax_apdb's table ``metadata``: what they are called, and what keeps this installation from going on.

Every backend has them, and says the same of them.
"""

import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stream_assoc.core.model.schema import schema_version
from stream_assoc.stores.apdb.backend import ApdbReport
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError

SCHEMA_VERSION_KEY: Final = "version:schema"
"""The row in which dax_apdb keeps the version of the APDB schema."""

OUR_VERSION_KEY: Final = "version:stream_assoc"
"""The row that holds the version of our tables."""
IDENTITY_KEY: Final = "stream_assoc:identity"
PARTITION_KEY: Final = "stream_assoc:partition"
CACHE_SECRET_KEY: Final = "stream_assoc:cache_secret"  # noqa: S105 - its name, not itself
NOTES: Final = (OUR_VERSION_KEY, IDENTITY_KEY, PARTITION_KEY, CACHE_SECRET_KEY)
"""Our rows of that table. While a daemon runs none of them may change."""

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
    return _levels_of(partition)[0]


def cell_level_of(partition: str) -> int:
    """Return the level of the cells of a partition as it is written in the database.

    Raises
    ------
    ApdbSchemaError
        If it is damaged.
    """
    return _levels_of(partition)[1]


def _levels_of(partition: str) -> tuple[int, int]:
    tile_level, _, cell_level = partition.partition("/")
    if not (tile_level.isdecimal() and cell_level.isdecimal()):
        raise ApdbSchemaError(f"the row {PARTITION_KEY} of the APDB's table metadata is damaged: {partition!r}")
    return int(tile_level), int(cell_level)


def new_secret() -> str:
    """Return a secret that only readers of this database know."""
    return secrets.token_hex(32)


def new_names() -> dict[str, str]:
    """Return the notes by which nothing that was cached before is found, or believed, again."""
    return {IDENTITY_KEY: uuid.uuid4().hex, CACHE_SECRET_KEY: new_secret()}


def numbers(version: str) -> tuple[int, int]:
    """Return what two versions are compared by: major and minor.

    Raises
    ------
    ApdbSchemaError
        If it is no version.
    """
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        raise ApdbSchemaError(f"the APDB's table metadata holds {version!r} where a version such as 1.2.0 should be")
    return int(major), int(minor)


def check_schema_version(stored: str) -> None:
    """Tell whether dax_apdb's tables are of a version that this installation writes.

    Raises
    ------
    ApdbSchemaError
        If they are not.
    """
    ours = schema_version()
    (major, minor), (our_major, our_minor) = numbers(stored), numbers(ours)
    # dax_apdb's own rule.
    if major != our_major or minor > our_minor:
        raise ApdbSchemaError(
            f"the database holds version {stored} of the APDB schema and this installation writes {ours}; "
            "migrate the database with lsst.dax.apdb's own scripts, or install matching lsst-sdm-schemas"
        )


def frozen_configuration(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    """Return what dax_apdb has frozen at the creation, as the row of this key has it.

    Raises
    ------
    ApdbSchemaError
        If the row is damaged.
    """
    try:
        return dict(json.loads(metadata.get(key, "{}")))
    except (ValueError, TypeError) as error:
        raise ApdbSchemaError(f"the row {key} of the APDB's table metadata is damaged: {error}") from error


def report_of(
    metadata: Mapping[str, str], lost_tables: Sequence[str], version: str, *, replication: bool
) -> ApdbReport:
    """Return what a database is whose tables of dax_apdb can be written.

    Parameters
    ----------
    metadata : mapping
        The rows of the ``metadata`` table.
    lost_tables : sequence of `str`
        Tables of ours that are not there.
    version : `str`
        That of our tables, which this installation writes.
    replication : `bool`
        Whether rows are noted for replicas.

    Raises
    ------
    ApdbSchemaError
        If our tables are of another version, or something of ours is missing.
    """
    if OUR_VERSION_KEY in metadata:
        check_migrated(metadata[OUR_VERSION_KEY], version)
    if missing := [*lost_tables, *(key for key in NOTES if key not in metadata)]:
        names = ", ".join(missing)
        raise ApdbSchemaError(f"the APDB lacks what stream_assoc adds to it ({names}); {INIT_REMEDY}")
    return ApdbReport(
        schema_version=metadata[SCHEMA_VERSION_KEY],
        stream_assoc_version=metadata[OUR_VERSION_KEY],
        replication=replication,
        identity=metadata[IDENTITY_KEY],
        partition=metadata[PARTITION_KEY],
        cache_secret=metadata[CACHE_SECRET_KEY],
    )


def check_migrated(stored: str, ours: str) -> None:
    """Tell whether our tables are of another version than this installation's.

    Raises
    ------
    ApdbSchemaError
        If they are. The message names the remedy.
    """
    check_not_newer(stored, ours)
    if numbers(stored) < numbers(ours):
        raise ApdbSchemaError(
            f"the database holds version {stored} of the stream_assoc tables and this "
            f"installation writes {ours}; stop every daemon and {INIT_REMEDY}, which brings them up to date "
            "(--dry-run tells what it would do)"
        )


def check_not_newer(stored: str, ours: str) -> None:
    """Tell whether our tables are of a version to come.

    Raises
    ------
    ApdbSchemaError
        If they are: nothing of this installation may write to them, or change them.
    """
    if numbers(stored) > numbers(ours):
        raise ApdbSchemaError(
            f"the database holds version {stored} of the stream_assoc tables and this installation writes "
            f"{ours}: a later stream_assoc has migrated it; install that one"
        )


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
