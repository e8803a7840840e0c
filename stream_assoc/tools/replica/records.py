"""Update records of chunks that have not been replicated, and which of them would stop the replicator.

lsst-dax-ppdb stops for good at a record whose row it does not find as it
expects: for a DIAObject an open interval, for a DIASource a row with a
diaObjectId, for a forced source any row.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeAlias

from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.tools.replica.exceptions import ReplicaError

Key: TypeAlias = tuple[Any, ...]
"""Values of the columns that a table's rows are told apart by."""

RecordId: TypeAlias = tuple[int, int, int, str]
"""Chunk, time, order and unique identifier: the primary key of ApdbUpdateRecordChunks."""


@dataclass(frozen=True, slots=True)
class _Kind:
    table: str
    ends: bool


_KINDS: Final = {
    "close_diaobject_validity": _Kind("DiaObject", ends=True),
    "update_n_dia_sources": _Kind("DiaObject", ends=False),
    "reassign_diasource_to_diaobject": _Kind("DiaSource", ends=False),
    "reassign_diasource_to_ssobject": _Kind("DiaSource", ends=True),
    "withdraw_diasource": _Kind("DiaSource", ends=False),
    "withdraw_diaforcedsource": _Kind("DiaForcedSource", ends=False),
}
"""Update types of dax_apdb; after one that ends, the row is not as a later record expects it."""


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """A change of rows that a chunk brings when it is replicated.

    Attributes
    ----------
    id : `RecordId`
        What tells it apart.
    table : `str`
        The table of the rows.
    key : `Key`
        The row; of a DIAObject, the object.
    ends : `bool`
        Whether a later record finds the row no more as it expects.
    """

    id: RecordId
    table: str
    key: Key
    ends: bool

    @property
    def chunk(self) -> int:
        """The chunk that brings it."""
        return self.id[0]


def record_of(identifier: RecordId, payload: str) -> UpdateRecord:
    """Return an update record of its row.

    Raises
    ------
    ReplicaError
        If it is of a kind that this version does not know.
    """
    values: Mapping[str, Any] = json.loads(payload)
    kind = _KINDS.get(values.get("update_type", ""))
    if kind is None:
        raise ReplicaError(
            f"ApdbUpdateRecordChunks holds a record of the type {values.get('update_type')!r}, which this version of "
            "stream_assoc does not know; install one that goes with the lsst-dax-apdb that wrote it"
        )
    columns = KEYS[kind.table][:1] if kind.table == "DiaObject" else KEYS[kind.table]
    return UpdateRecord(identifier, kind.table, tuple(values[name] for name in columns), kind.ends)


def stopping(records: Iterable[UpdateRecord], *, is_there: bool, arrivals: Iterable[int]) -> tuple[UpdateRecord, ...]:
    """Return those records of one row, or one object, that can only stop the replicator.

    Parameters
    ----------
    records : iterable of `UpdateRecord`
        Of chunks that have not been replicated.
    is_there : `bool`
        Whether the PPDB has the row now as the records expect it.
    arrivals : iterable of `int`
        Chunks not replicated yet that bring it so. A chunk brings rows before it applies records.
    """
    coming = sorted(arrivals)
    stopped: list[UpdateRecord] = []
    for chunk, together in groupby(sorted(records, key=attrgetter("chunk")), key=attrgetter("chunk")):
        some = list(together)
        if coming and coming[0] <= chunk:
            is_there = True
            coming = [later for later in coming if later > chunk]
        # The replicator looks for the row once, before it applies the records of a chunk.
        if not is_there:
            stopped += some
        elif any(record.ends for record in some):
            is_there = False
    return tuple(stopped)


def by_key(records: Iterable[UpdateRecord]) -> dict[str, dict[Key, Sequence[UpdateRecord]]]:
    """Return records by table and key."""
    found: dict[str, dict[Key, list[UpdateRecord]]] = {table: {} for table in KEYS}
    for record in records:
        found[record.table].setdefault(record.key, []).append(record)
    return {table: dict(of_table) for table, of_table in found.items()}
