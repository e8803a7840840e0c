"""Names and expressions that both SQL adapters use.

Words of the form ``{name}`` stand for an identifier that the adapter quotes.
"""

from collections.abc import Sequence
from typing import Final

from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BANDS
from stream_assoc.stores.apdb.rows.tables import FORCED_COLUMNS, LEDGER_COLUMNS, POINT_COLUMNS, quoted

OTHERS_SHARD: Final = -1
"""The row that triggers count in. No batch does, so none waits for the end of another program's transaction there."""

DATABASE_CELL: Final = -1
"""Beside the cells, whose HTM indices are positive, the lock that sessions share and a change of tables takes."""

NOTE_IN_HAND: Final = (
    "ON CONFLICT (topic, partition) DO UPDATE SET first_offset = excluded.first_offset, "
    "last_offset = excluded.last_offset, is_suspect = excluded.is_suspect"
)


def point_expressions(flag_columns: Sequence[str], position_function: str) -> str:
    """Return the select list of a source's points: columns, band index, flag.

    The index is -1 for a source whose band is NULL or not in `BANDS`.

    Parameters
    ----------
    flag_columns : sequence of `str`
        DiaSource flags; a NULL flag counts as not set.
    position_function : `str`
        The dialect's name for the 1-based position of a substring.
    """
    band = band_expression(position_function)
    flags = " OR ".join(f'COALESCE("{name}", FALSE)' for name in flag_columns) or "FALSE"
    return f"{quoted(POINT_COLUMNS)}, {band}, ({flags})"


def band_expression(position_function: str) -> str:
    """Return the index of the column ``band`` among `BANDS`, -1 where it is none of them; see `point_expressions`."""
    return f"COALESCE({position_function}('{''.join(BANDS)}', band), 0) - 1"


def forced_source_rows(mark: str) -> str:
    """Return the query of a batch's DiaForcedSource rows that count; parameters: visit, detector.

    Parameters
    ----------
    mark : `str`
        The dialect's parameter.
    """
    return (
        f"SELECT {quoted(apdb_table('DiaForcedSource').names)} FROM {{DiaForcedSource}} WHERE visit = {mark} "
        f'AND detector = {mark} AND "timeWithdrawnMjdTai" IS NULL ORDER BY "diaObjectId"'
    )


def forced_expressions(position_function: str) -> str:
    """Return the select list of a forced source's points; see `point_expressions`."""
    return f"{quoted(FORCED_COLUMNS)}, {band_expression(position_function)}"


LIVE: Final = '"timeWithdrawnMjdTai" IS NULL'
"""The condition that a row of DiaSource counts."""


def source_condition(mark: str, criteria: GoodSources | None) -> tuple[str, tuple[float, ...]]:
    """Return the condition that a row of DiaSource is good, without criteria that it counts, and its parameters."""
    if criteria is None:
        return LIVE, ()
    return good_source_condition(mark), (criteria.min_reliability, criteria.max_trail_length)


def good_source_condition(mark: str) -> str:
    """Return the condition that a row of DiaSource is a good one; parameters: reliability, trail.

    NaN, which PostgreSQL takes to be above all numbers, is not good.

    Parameters
    ----------
    mark : `str`
        The dialect's parameter.
    """
    return (
        f"{LIVE} AND reliability >= {mark} AND reliability <= 1e30 "
        f'AND "trailLength" <= {mark} AND NOT glint_trail AND NOT "isDipole"'
    )


WAITING_COLUMNS: Final = f"{quoted(LEDGER_COLUMNS, 'l.')}, o.predecessors, o.consumer_group"
"""What an entry of the outbox (``o``) is without its outputs, beside its row of the ledger (``l``)."""
