"""Taking back what an earlier processing of a batch stored, and telling replicas of it.

A row whose key comes again is replaced, because the tables hold one row a key;
one whose key does not is kept and marked with ``timeWithdrawnMjdTai``, as
dax_apdb's own ``withdrawDiaSources`` does. What happens to rows that may have
been replicated is noted as the update records that dax_apdb defines
(``lsst.dax.apdb.apdbUpdateRecord``), which are not imported because that takes
seconds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.stores.apdb.sql.rows import unix_tai
from stream_assoc.stores.apdb.sql.statements import quoted

UPDATE_COLUMNS: Final = (
    "apdb_replica_chunk",
    "update_time_ns",
    "update_order",
    "update_unique_id",
    "update_payload",
)


@dataclass(frozen=True, slots=True)
class Withdrawable:
    """A table whose rows belong to one visit and detector.

    Attributes
    ----------
    table, key : `str`
        Its name, and what tells its rows of one visit and detector apart.
    columns : `tuple` [`str`, ...]
        What the update record of a withdrawn row names it by.
    update_type : `str`
        The kind of that record.
    """

    table: str
    key: str
    columns: tuple[str, ...]
    update_type: str

    def replace_statement(self, mark: str, chosen: str) -> str:
        """Return the statement that makes room for rows that come again.

        Parameters
        ----------
        mark : `str`
            The dialect's parameter: visit, detector.
        chosen : `str`
            The dialect's condition that a value is among those of an array, the third parameter.
        """
        return f'DELETE FROM {{{self.table}}} WHERE visit = {mark} AND detector = {mark} AND "{self.key}" {chosen}'

    def withdraw_statement(self, mark: str) -> str:
        """Return the statement that withdraws all rows left; parameters: time, visit, detector."""
        return (
            f'UPDATE {{{self.table}}} SET "timeWithdrawnMjdTai" = {mark} '
            f'WHERE visit = {mark} AND detector = {mark} AND "timeWithdrawnMjdTai" IS NULL '
            f"RETURNING {quoted(self.columns)}"
        )


SOURCES: Final = Withdrawable(
    "DiaSource", "diaSourceId", ("diaSourceId", "ra", "dec", "midpointMjdTai"), "withdraw_diasource"
)
FORCED_SOURCES: Final = Withdrawable(
    "DiaForcedSource",
    "diaObjectId",
    ("diaObjectId", "visit", "detector", "ra", "dec", "midpointMjdTai"),
    "withdraw_diaforcedsource",
)

WithdrawnRows = Mapping[Withdrawable, Sequence[Sequence[Any]]]


def update_payloads(change: BatchChanges, withdrawn: WithdrawnRows) -> list[str]:
    """Return the payloads of the update records of a batch, in the order in which they apply.

    Parameters
    ----------
    change : `BatchChanges`
        The batch; the objects it closes are told too.
    withdrawn : mapping
        What the withdraw statements returned.
    """
    return [json.dumps(record) for record in _records(change, withdrawn)]


def update_time_ns(change: BatchChanges) -> int:
    """Return the time of a batch's update records, nanoseconds since 1970-01-01 TAI."""
    return int(unix_tai(change.entry.timeProcessedMjdTai) * 1e9)


def _records(change: BatchChanges, withdrawn: WithdrawnRows) -> Iterator[dict[str, Any]]:
    time = change.entry.timeProcessedMjdTai
    for table, rows in withdrawn.items():
        for row in rows:
            named = dict(zip(table.columns, row, strict=True))
            yield {**named, "timeWithdrawnMjdTai": time, "update_type": table.update_type}
    closed = change.closed
    for identifier, ra, dec in zip(closed.diaObjectId.tolist(), closed.ra.tolist(), closed.dec.tolist(), strict=True):
        yield {
            "diaObjectId": identifier,
            "ra": ra,
            "dec": dec,
            "validityEndMjdTai": time,
            "nDiaSources": None,
            "update_type": "close_diaobject_validity",
        }
