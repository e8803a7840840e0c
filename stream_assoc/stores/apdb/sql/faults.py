"""The SQL by which faults of a whole APDB are found, a stretch of a key at a time.

A statement names a table as ``{DiaObject}``, and the first and the last key of
the stretch as ``:low`` and ``:high``. They are written out, not bound: the
planner judges constants by the table's statistics, parameters by guessing. It
looks up rows of other tables by key, and returns the key of each row that is
wrong, then what shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.core.model.types import BANDS
from stream_assoc.stores.apdb.reading.inspection import Fault
from stream_assoc.stores.apdb.rows.tables import CHANGED, LEDGER


@dataclass(frozen=True, slots=True)
class Walk:
    """A table in the order of a column that has an index, which holds integers.

    Attributes
    ----------
    table, column : `str`
    zero_is_none : `bool`
        Whether a row with 0 there is as one with NULL; there may be very many.
    """

    table: str
    column: str
    zero_is_none: bool = False


OBJECTS: Final = Walk("DiaObject", "diaObjectId")
LAST: Final = Walk("DiaObjectLast", "pixelId")
SOURCES: Final = Walk("DiaSource", "diaObjectId", zero_is_none=True)
FORCED: Final = Walk("DiaForcedSource", "diaObjectId")


@dataclass(frozen=True, slots=True)
class Finder:
    """How one fault is found.

    Attributes
    ----------
    fault : `Fault`
    walk : `Walk`
        What it goes through.
    statement : `str`
        Returns ``keys`` and then ``values``.
    keys, values : `tuple` [`str`, ...]
        What to call what it returns.
    """

    fault: Fault
    walk: Walk
    statement: str
    keys: tuple[str, ...]
    values: tuple[str, ...] = ()


IS_LIVE: Final = 's."timeWithdrawnMjdTai" IS NULL'
OBJECT: Final = ("diaObjectId",)
BATCH: Final = ("visit", "detector")

_OPEN_VERSION: Final = (
    'SELECT 1 FROM {DiaObject} o WHERE o."diaObjectId" = x."diaObjectId" AND o."validityEndMjdTai" IS NULL'
)
_ANY_VERSION: Final = 'SELECT 1 FROM {DiaObject} o WHERE o."diaObjectId" = x."diaObjectId"'

IS_CURRENT: Final = (
    'o."validityEndMjdTai" IS NULL AND NOT EXISTS (SELECT 1 FROM {DiaObject} p WHERE p."diaObjectId" = '
    'o."diaObjectId" AND p."validityStartMjdTai" > o."validityStartMjdTai" AND p."validityEndMjdTai" IS NULL)'
)
"""The condition that a row ``o`` of DiaObject is the version in force: the last that is open, should there be two."""

CURRENT_OF_LAST: Final = """
    {DiaObjectLast} l LEFT JOIN {DiaObject} o ON o."diaObjectId" = l."diaObjectId" AND o."validityStartMjdTai" =
        (SELECT max(p."validityStartMjdTai") FROM {DiaObject} p
         WHERE p."diaObjectId" = l."diaObjectId" AND p."validityEndMjdTai" IS NULL)
"""
HAS_CURRENT: Final = 'coalesce(o."diaObjectId" = l."diaObjectId", FALSE)'
"""Rows ``l`` of DiaObjectLast with the versions in force, and the condition that there is one.

So written, each version is looked up by its key. As an inner join, which the
planner makes of a plainer condition, it may begin with all of DiaObject if the
tables have no statistics yet.
"""

NOT_AWAITING: Final = (
    f'NOT EXISTS (SELECT 1 FROM {{{CHANGED}}} c WHERE c."diaObjectId" = o."diaObjectId" AND c.is_outdated)'
)
"""The condition that an object ``o`` need not be folded anew by its next batch."""


def _open_version(alias: str) -> str:
    return _OPEN_VERSION.replace("x.", f"{alias}.")


def _any_version(alias: str) -> str:
    return _ANY_VERSION.replace("x.", f"{alias}.")


_VERSIONS: Final = """
    SELECT "diaObjectId", "validityStartMjdTai", ended, following FROM (
        SELECT "diaObjectId", "validityStartMjdTai", "validityEndMjdTai" AS ended,
            lead("validityStartMjdTai") OVER (PARTITION BY "diaObjectId" ORDER BY "validityStartMjdTai") AS following,
            sum(CASE WHEN "validityEndMjdTai" IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY "diaObjectId") AS n_open
        FROM {DiaObject} WHERE "diaObjectId" BETWEEN :low AND :high) v
"""
# A re-processing that leaves an object no source closes it, and a later one may
# create an object from the same source, under the same name.
_MADE_AGAIN: Final = f"""
    SELECT 1 FROM {{DiaSource}} s JOIN {{{LEDGER}}} l
        ON l.visit = s.visit AND l.detector = s.detector AND l.revision > 0 AND l."timeProcessedMjdTai" = v.following
    WHERE s."diaSourceId" = v."diaObjectId"
"""
_INTERVAL: Final = ("validityStartMjdTai", "validityEndMjdTai", "next validityStartMjdTai")


def version_finders(*, has_ledger: bool) -> tuple[Finder, ...]:
    """Return what looks for faults of DiaObject alone, and of its sources."""
    closed_again = f"AND NOT EXISTS ({_MADE_AGAIN})" if has_ledger else ""
    return (
        Finder(
            Fault.TWO_OPEN_VERSIONS,
            OBJECTS,
            'SELECT "diaObjectId", count(*) FROM {DiaObject} WHERE "diaObjectId" BETWEEN :low AND :high '
            'AND "validityEndMjdTai" IS NULL GROUP BY "diaObjectId" HAVING count(*) > 1',
            OBJECT,
            ("open versions",),
        ),
        Finder(
            Fault.NEGATIVE_INTERVAL,
            OBJECTS,
            'SELECT "diaObjectId", "validityStartMjdTai", "validityEndMjdTai" FROM {DiaObject} '
            'WHERE "diaObjectId" BETWEEN :low AND :high AND "validityEndMjdTai" < "validityStartMjdTai"',
            OBJECT,
            _INTERVAL[:2],
        ),
        Finder(
            Fault.OVERLAPPING_VERSIONS,
            OBJECTS,
            f"{_VERSIONS} WHERE following IS NOT NULL AND (ended > following OR ended IS NULL AND n_open = 1)",
            OBJECT,
            _INTERVAL,
        ),
        Finder(
            Fault.GAP_BETWEEN_VERSIONS,
            OBJECTS,
            f'{_VERSIONS} WHERE ended < following AND ended >= "validityStartMjdTai" {closed_again}',
            OBJECT,
            _INTERVAL,
        ),
    )


def source_finders(*, has_notes: bool) -> tuple[Finder, ...]:
    """Return what looks for faults between sources and their objects.

    Parameters
    ----------
    has_notes : `bool`
        Whether the database notes the objects whose sources another program has changed.
    """
    not_awaiting = f"AND {NOT_AWAITING}" if has_notes else ""
    live = f'WHERE s."diaObjectId" BETWEEN :low AND :high AND s."diaObjectId" <> 0 AND {IS_LIVE}'
    bands = ", ".join(f"'{band}'" for band in BANDS)
    return (
        Finder(
            Fault.WRONG_N_DIA_SOURCES,
            OBJECTS,
            'SELECT * FROM (SELECT o."diaObjectId", o."nDiaSources" AS stored, (SELECT count(*) FROM {DiaSource} s '
            f'WHERE s."diaObjectId" = o."diaObjectId" AND {IS_LIVE}) AS live FROM {{DiaObject}} o '
            f'WHERE o."diaObjectId" BETWEEN :low AND :high AND {IS_CURRENT} {not_awaiting}) c '
            "WHERE stored <> live",
            OBJECT,
            ("nDiaSources", "live sources"),
        ),
        Finder(
            Fault.SOURCE_WITHOUT_OBJECT,
            SOURCES,
            f'SELECT s."diaSourceId", s."diaObjectId" FROM {{DiaSource}} s {live} '
            f"AND NOT EXISTS ({_any_version('s')})",
            ("diaSourceId",),
            OBJECT,
        ),
        Finder(
            Fault.SOURCE_OF_CLOSED_OBJECT,
            SOURCES,
            f'SELECT s."diaSourceId", s."diaObjectId" FROM {{DiaSource}} s {live} '
            f"AND NOT EXISTS ({_open_version('s')}) AND EXISTS ({_any_version('s')})",
            ("diaSourceId",),
            OBJECT,
        ),
        Finder(
            Fault.UNKNOWN_BAND,
            SOURCES,
            f'SELECT s."diaSourceId", s."diaObjectId", s.band FROM {{DiaSource}} s {live} '
            f"AND (s.band IS NULL OR s.band NOT IN ({bands}))",
            ("diaSourceId",),
            (*OBJECT, "band"),
        ),
        # Re-processing closes objects that other visits measured: these measurements stay.
        Finder(
            Fault.FORCED_SOURCE_WITHOUT_OBJECT,
            FORCED,
            'SELECT s."diaObjectId", s.visit, s.detector FROM {DiaForcedSource} s '
            f'WHERE s."diaObjectId" BETWEEN :low AND :high AND {IS_LIVE} AND NOT EXISTS ({_any_version("s")})',
            (*OBJECT, *BATCH),
        ),
    )


def last_finders(columns: Sequence[str]) -> tuple[Finder, ...]:
    """Return what looks for differences between DiaObjectLast and the open versions.

    Parameters
    ----------
    columns : sequence of `str`
        The columns to compare.
    """
    # Of two NULLs neither equals the other; and each dialect has its own word for that.
    unequal = {
        name: f'(l."{name}" <> o."{name}" OR (l."{name}" IS NULL) <> (o."{name}" IS NULL))' for name in columns
    }
    named = " || ".join(f"CASE WHEN {test} THEN ' {name}' ELSE '' END" for name, test in unequal.items())
    return (
        Finder(
            Fault.OPEN_VERSION_NOT_IN_LAST,
            OBJECTS,
            'SELECT o."diaObjectId" FROM {DiaObject} o WHERE o."diaObjectId" BETWEEN :low AND :high '
            f"AND {IS_CURRENT} AND NOT EXISTS (SELECT 1 FROM {{DiaObjectLast}} l "
            'WHERE l."pixelId" = o."pixelId" AND l."diaObjectId" = o."diaObjectId")',
            OBJECT,
        ),
        Finder(
            Fault.LAST_WITHOUT_OPEN_VERSION,
            LAST,
            'SELECT l."diaObjectId", '
            f"CASE WHEN EXISTS ({_any_version('l')}) THEN 'closed' ELSE 'does not exist' END FROM {{DiaObjectLast}} l"
            f' WHERE l."pixelId" BETWEEN :low AND :high AND NOT EXISTS ({_open_version("l")})',
            OBJECT,
            ("object",),
        ),
        Finder(
            Fault.LAST_DIFFERS_FROM_VERSION,
            LAST,
            f'SELECT l."diaObjectId", trim({named}) FROM {CURRENT_OF_LAST} '
            f'WHERE l."pixelId" BETWEEN :low AND :high AND {HAS_CURRENT} '
            f"AND ({' OR '.join(unequal.values())})",
            OBJECT,
            ("columns",),
        ),
    )
