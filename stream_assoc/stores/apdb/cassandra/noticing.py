"""Dealing with notices: rows of ours become what update records of other programs say, under the lease of the cell.

What a record says is done again, later than whatever a batch has written
meanwhile. Objects whose sources were changed stay noted, until a batch gives them another version or closes them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.cassandra.batch_rows import read_row_keys
from stream_assoc.stores.apdb.cassandra.database import Database
from stream_assoc.stores.apdb.cassandra.notices import CLOSE, COUNT, REASSIGN, WITHDRAW, WITHDRAW_FORCED, Notice
from stream_assoc.stores.apdb.cassandra.plan_rows import LAST_TO_PARTITION, partitioned
from stream_assoc.stores.apdb.cassandra.plans import Change
from stream_assoc.stores.apdb.cassandra.tables import CHECKPOINT, NOTICE, OBJECT, PLACE

_STORED: Final = (
    'SELECT "diaObjectId", apdb_part, apdb_time_part, "validityStartMjdTai", "validityEndMjdTai", "nDiaSources" '
    f'FROM "{OBJECT}" WHERE "diaObjectId" IN ?'
)
_SOURCES: Final = (
    'SELECT "diaSourceId", apdb_part, apdb_time_part FROM "DiaSourceToPartition" WHERE "diaSourceId" IN ?'
)
_PART: Final = ("apdb_part", "apdb_time_part")


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a session writes that deals with notices.

    Attributes
    ----------
    changes : `list` [`Change`]
    tiles : `tuple` [`int`, ...]
        Whose versions grow.
    single_source_delta : `int`
        Change of the number of objects with one source.
    """

    changes: list[Change]
    tiles: tuple[int, ...]
    single_source_delta: int


@dataclass(slots=True)
class _Stored:
    """An object as it is stored, and as the records leave it."""

    part: int
    time_part: int
    start: float
    end: float | None
    n_sources: int

    @property
    def is_single(self) -> bool:
        return self.end is None and self.n_sources == 1


def noticed(database: Database, notices: Sequence[Notice]) -> Noticed:
    """Return what makes our rows agree with these notices, which are in the order of their records."""
    ids = sorted({one.diaObjectId for one in notices})
    stored = {row[0]: _Stored(*row[1:]) for row in database.connection.read_in(_STORED, ids)}
    singles_before = sum(one.is_single for one in stored.values())
    closed = dict[int, float]()
    for notice in notices:
        subject = stored[notice.diaObjectId]
        if notice.kind == COUNT:
            subject.n_sources = notice.values["nDiaSources"]
        elif notice.kind == CLOSE and subject.end is None:
            subject.end = closed[notice.diaObjectId] = notice.values["validityEndMjdTai"]
    # dax_apdb itself notes the number of sources in DiaObjectLast alone, and tells replicas of it.
    counted = sorted({one.diaObjectId for one in notices if one.kind == COUNT})
    numbers = {"nDiaSources": [stored[one].n_sources for one in counted]}
    changes = [
        *_versions(database, stored, counted, numbers),
        *_closed(database, stored, closed),
        Change(CHECKPOINT, _table({"diaObjectId": ids}), deletes=True),
        *_sources(database, notices),
        *_forced_sources(database, notices),
        *_kept(notices, {one for one, subject in stored.items() if subject.end is not None}),
    ]
    delta = sum(one.is_single for one in stored.values()) - singles_before
    return Noticed(changes, tuple(sorted({one.tile for one in notices})), delta)


def forgotten(notices: Iterable[Notice]) -> Change:
    """Return the deletion of notices that a batch has dealt with."""
    return Change(NOTICE, _names(notices), deletes=True)


def _closed(database: Database, stored: dict[int, _Stored], closed: dict[int, float]) -> Iterator[Change]:
    yield from _versions(database, stored, list(closed), {"validityEndMjdTai": list(closed.values())})
    parts = [stored[one].part for one in closed]
    yield Change("DiaObjectLast", _table({"apdb_part": parts, "diaObjectId": list(closed)}), deletes=True)
    yield Change(LAST_TO_PARTITION, _table({"diaObjectId": list(closed)}), deletes=True)


def _versions(
    database: Database, stored: dict[int, _Stored], ids: Sequence[int], values: dict[str, list[Any]]
) -> Iterator[Change]:
    """Yield new values of the last versions of objects."""
    yield Change(OBJECT, _table({"diaObjectId": ids, **values}))
    parts, time_parts, starts = (
        [getattr(stored[one], name) for one in ids] for name in ("part", "time_part", "start")
    )
    where = {"apdb_part": parts, "apdb_time_part": time_parts, "validityStartMjdTai": starts, "diaObjectId": ids}
    yield from partitioned("DiaObject", _table({**where, **values}), database.places, is_stored=True)


def _sources(database: Database, notices: Sequence[Notice]) -> Iterator[Change]:
    """Yield what was said of sources, the last word on each."""
    said = {one.values["diaSourceId"]: one for one in notices if one.kind in (REASSIGN, WITHDRAW)}
    places = {row[0]: row[1:] for row in database.connection.read_in(_SOURCES, sorted(said))}
    for kind, column in ((REASSIGN, "diaObjectId"), (WITHDRAW, "timeWithdrawnMjdTai")):
        ids = [one for one, notice in said.items() if notice.kind == kind and one in places]
        parts, time_parts = [places[one][0] for one in ids], [places[one][1] for one in ids]
        values = [said[one].values[column] for one in ids]
        where = dict(zip(_PART, (parts, time_parts), strict=True))
        rows = _table({**where, "diaSourceId": ids, column: values})
        yield from partitioned("DiaSource", rows, database.places, is_stored=True)
        if kind == REASSIGN:
            named = {"kind": pa.array(["DiaSource"] * len(ids), pa.string()), "diaObjectId": values}
            yield Change(PLACE, _table({**where, **named}))


def _forced_sources(database: Database, notices: Sequence[Notice]) -> Iterator[Change]:
    for notice in notices:
        if notice.kind == WITHDRAW_FORCED:
            batch = BatchId(notice.values["visit"], notice.values["detector"])
            keys = read_row_keys(database.connection, batch, "DiaForcedSource")
            at = np.flatnonzero(keys.identifiers == notice.diaObjectId)
            row = {
                "apdb_part": keys.parts[at],
                "apdb_time_part": keys.time_parts[at],
                "diaObjectId": keys.identifiers[at],
                "visit": [batch.visit] * len(at),
                "detector": pa.array([batch.detector] * len(at), pa.int16()),
                "timeWithdrawnMjdTai": [notice.values["timeWithdrawnMjdTai"]] * len(at),
            }
            yield from partitioned("DiaForcedSource", _table(row), database.places, is_stored=True)


def _kept(notices: Sequence[Notice], ended: set[int]) -> Iterator[Change]:
    """Yield which notices stay, for objects whose version is out of date, and which do not."""
    stays = [one for one in notices if one.makes_outdated and one.diaObjectId not in ended]
    names = _names(stays)
    yield Change(NOTICE, names.append_column("is_noticed", pa.array([True] * len(stays), pa.bool_())))
    yield forgotten(one for one in notices if one not in stays)


def _names(notices: Iterable[Notice]) -> pa.Table:
    chosen = list(notices)
    names = [one.name for one in chosen]
    return _table(
        {
            "cell": [one.cell for one in chosen],
            "update_time_ns": [name[0] for name in names],
            "update_order": [name[1] for name in names],
            "update_unique_id": pa.array([name[2].bytes for name in names], pa.binary(16)),
            "diaObjectId": [one.diaObjectId for one in chosen],
        }
    )


def _table(columns: dict[str, Any]) -> pa.Table:
    """Return columns as a table; a list without values is one of whole numbers, whatever it would be."""
    return pa.table({name: _column(values) for name, values in columns.items()})


def _column(values: Any) -> Any:  # noqa: ANN401 - what Arrow takes
    if isinstance(values, pa.Array | np.ndarray):
        return values
    return pa.array(list(values), None if values else pa.int64())
