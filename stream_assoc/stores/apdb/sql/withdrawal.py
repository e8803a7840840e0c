"""Taking back what an earlier processing of a batch stored.

A row whose key comes again is replaced, because the tables hold one row a key;
one whose key does not is kept and marked with ``timeWithdrawnMjdTai``, as
dax_apdb's own ``withdrawDiaSources`` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stream_assoc.stores.apdb.sql.rows import KEYS
from stream_assoc.stores.apdb.sql.statements import quoted


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

    def notes_statement(self, mark: str, chosen: str) -> str:
        """Return the query of the primary keys and chunks of rows that come again; see `replace_statement`."""
        return (
            f"SELECT {quoted(KEYS[self.table], 'n.')}, n.apdb_replica_chunk FROM {{{self.table}Chunks}} n "
            f"JOIN {{{self.table}}} r USING ({quoted(KEYS[self.table])}) "
            f'WHERE r.visit = {mark} AND r.detector = {mark} AND r."{self.key}" {chosen}'
        )

    def replace_statement(self, mark: str, chosen: str) -> str:
        """Return the statement that makes room for rows that come again, and returns them; see `TakenBack`.

        Parameters
        ----------
        mark : `str`
            The dialect's parameter: visit, detector.
        chosen : `str`
            The dialect's condition that a value is among those of an array, the third parameter.
        """
        return (
            f'DELETE FROM {{{self.table}}} WHERE visit = {mark} AND detector = {mark} AND "{self.key}" {chosen} '
            f"RETURNING {self._returned}"
        )

    def withdraw_statement(self, mark: str) -> str:
        """Return the statement that withdraws all rows left; parameters: time, visit, detector."""
        return (
            f'UPDATE {{{self.table}}} SET "timeWithdrawnMjdTai" = {mark} '
            f'WHERE visit = {mark} AND detector = {mark} AND "timeWithdrawnMjdTai" IS NULL '
            f"RETURNING {self._returned}"
        )

    @property
    def _returned(self) -> str:
        return f'"{self.key}", "diaObjectId", {quoted(self.columns)}'


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
