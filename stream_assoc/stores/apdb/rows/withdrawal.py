"""Taking back what an earlier processing of a batch stored.

A row whose key comes again is replaced, because the tables hold one row a key;
one whose key does not is kept and marked with ``timeWithdrawnMjdTai``, as
dax_apdb's own ``withdrawDiaSources`` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Withdrawable:
    """A table whose rows belong to one visit and detector.

    Attributes
    ----------
    table, key : `str`
        Its name, and what tells its rows of one visit and detector apart.
    columns : `tuple` [`str`, ...]
        What update records name a row by.
    update_type : `str`
        The kind of the update record of a withdrawn row.
    """

    table: str
    key: str
    columns: tuple[str, ...]
    update_type: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken back of one table.

    Attributes
    ----------
    noted : sequence
        Primary key and replica chunk of each row that comes again and has a note.
    replaced, withdrawn : sequence
        Key, ``diaObjectId`` or `None`, and `Withdrawable.columns` of each row that comes again, and that does not.
    """

    noted: Sequence[Sequence[Any]]
    replaced: Sequence[Sequence[Any]]
    withdrawn: Sequence[Sequence[Any]]


SOURCES: Final = Withdrawable(
    "DiaSource",
    "diaSourceId",
    ("diaSourceId", "ra", "dec", "midpointMjdTai"),
    "withdraw_diasource",
)
FORCED_SOURCES: Final = Withdrawable(
    "DiaForcedSource",
    "diaObjectId",
    ("diaObjectId", "visit", "detector", "ra", "dec", "midpointMjdTai"),
    "withdraw_diaforcedsource",
)

TakenBackRows = Mapping[Withdrawable, TakenBack]
