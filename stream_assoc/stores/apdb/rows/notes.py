"""What a transaction notes for replication to the PPDB: keys of new rows, and update records.

A replica inserts each key it is told, and stops at one that it has. So a key is
noted once: a row that comes again keeps the note of its first storing. A replica
that has not copied that chunk yet reads the new values then.

Rows that may have been copied already are told by the update records that
dax_apdb defines (``lsst.dax.apdb.apdbUpdateRecord``), which are not imported
because that takes seconds. A replica stops at a record that does not fit: that
of a DIAObject without an open version there, or of a DIASource without an owner
(``docs/explanation/replication.md``). Such records are not noted. Those of a row
that comes again are forgotten where they no longer hold.
"""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.rows.chunks import unix_tai
from stream_assoc.stores.apdb.rows.tables import KEYS
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBackRows, Withdrawable
from stream_assoc.stores.apdb.rows.written import int_column

UPDATE_COLUMNS: Final = (
    "apdb_replica_chunk",
    "update_time_ns",
    "update_order",
    "update_unique_id",
    "update_payload",
)


@dataclass(frozen=True, slots=True)
class Notes:
    """What one transaction notes.

    Attributes
    ----------
    keys : `dict` [`str`, `pyarrow.Table`]
        For the replica chunk tables, the keys of rows that get or keep a note, and their chunk.
    records : `list` [`tuple`]
        Update records, in the order of `UPDATE_COLUMNS`.
    moved : `dict` [`BatchId`, `numpy.ndarray` [int64]]
        By batch, DIASources whose owner has changed. A
        replica that copies them now would give them back to an earlier owner,
        or stop, at earlier records of them, so there must be none.
    """

    keys: dict[str, pa.Table]
    records: list[tuple[Any, ...]]
    moved: dict[BatchId, IntArray]


def notes_of(
    changes: Sequence[BatchChanges], taken: Sequence[TakenBackRows], chunk: int, uncopied: Collection[int]
) -> Notes:
    """Return what a transaction notes.

    Parameters
    ----------
    changes : sequence of `BatchChanges`
        Its batches.
    taken : sequence of mapping
        For each, what was taken back of an earlier processing; empty for the first.
    chunk : `int`
        The chunk in which they are noted.
    uncopied : collection of `int`
        Of the objects that they close, those that a replica may not have.
    """
    keys: dict[str, list[pa.Table]] = {}
    records: list[tuple[Any, ...]] = []
    moved: dict[BatchId, IntArray] = {}
    for change, rows in zip(changes, taken, strict=True):
        for name, table in _keys(change, rows, chunk):
            keys.setdefault(name, []).append(table)
        time_ns, unique_id = int(unix_tai(change.entry.timeProcessedMjdTai) * 1e9), uuid.uuid4()
        replaced, owners = _replaced(change, rows)
        if changed := [identifier for identifier, before, *_ in replaced if before != owners[identifier]]:
            moved[change.entry.id] = np.array(changed, np.int64)
        # What was replaced before may have been copied without an owner, and nothing tells any more.
        is_known = change.entry.revision <= 1
        payloads = [
            *(_reassigned(replaced, owners) if is_known else ()),
            *_withdrawn(change, rows, of_sources=is_known),
            *_closed(change, uncopied),
        ]
        records += [(chunk, time_ns, order, unique_id, json.dumps(one)) for order, one in enumerate(payloads)]
    tables = {name: pa.concat_tables(parts) for name, parts in keys.items()}
    return Notes({name: table for name, table in tables.items() if table.num_rows}, records, moved)


def _keys(change: BatchChanges, taken: TakenBackRows, chunk: int) -> Iterator[tuple[str, pa.Table]]:
    yield "DiaObjectChunks", _with_chunk(change.dia_objects.select(list(KEYS["DiaObject"])), chunk)
    for table, rows in ((SOURCES, change.dia_sources), (FORCED_SOURCES, change.forced_sources)):
        keys = rows.select(list(KEYS[table.table]))
        if taken:
            again = [row[0] for row in taken[table].replaced]
            keys = keys.filter(pa.array(~np.isin(int_column(rows, table.key), again)))
        noted = _with_chunk(keys, chunk)
        yield f"{table.table}Chunks", noted
        if taken and taken[table].noted:
            columns = zip(*taken[table].noted, strict=True)
            kept = [pa.array(column, field.type) for column, field in zip(columns, noted.schema, strict=True)]
            yield f"{table.table}Chunks", pa.table(kept, noted.schema)


def _with_chunk(keys: pa.Table, chunk: int) -> pa.Table:
    return keys.append_column("apdb_replica_chunk", pa.repeat(pa.scalar(chunk, pa.int64()), keys.num_rows))


def _replaced(change: BatchChanges, taken: TakenBackRows) -> tuple[Sequence[Sequence[Any]], Mapping[int, int | None]]:
    """Return the DIASources that come again, as they were, and the owner that each has now."""
    if not taken:
        return (), {}
    ids, owners = int_column(change.dia_sources, "diaSourceId").tolist(), change.dia_sources.column("diaObjectId")
    return taken[SOURCES].replaced, dict(zip(ids, owners.to_pylist(), strict=True))


def _reassigned(replaced: Sequence[Sequence[Any]], owners: Mapping[int, int | None]) -> Iterator[dict[str, Any]]:
    for identifier, before, *named in replaced:
        after = owners[identifier]
        if before is not None and after is not None and before != after:
            kind = "reassign_diasource_to_diaobject"
            yield {**_named(SOURCES, named), "diaObjectId": after, "update_type": kind}


def _withdrawn(change: BatchChanges, taken: TakenBackRows, *, of_sources: bool) -> Iterator[dict[str, Any]]:
    time = change.entry.timeProcessedMjdTai
    for table, rows in taken.items():
        for _, owner, *named in rows.withdrawn:
            if owner is not None and (of_sources or table is not SOURCES):
                yield {**_named(table, named), "timeWithdrawnMjdTai": time, "update_type": table.update_type}


def _closed(change: BatchChanges, uncopied: Collection[int]) -> Iterator[dict[str, Any]]:
    closed = change.closed
    for identifier, ra, dec in zip(closed.diaObjectId.tolist(), closed.ra.tolist(), closed.dec.tolist(), strict=True):
        if identifier not in uncopied:
            yield {
                "diaObjectId": identifier,
                "ra": ra,
                "dec": dec,
                "validityEndMjdTai": change.entry.timeProcessedMjdTai,
                "nDiaSources": None,
                "update_type": "close_diaobject_validity",
            }


def _named(table: Withdrawable, values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(table.columns, values, strict=True))
