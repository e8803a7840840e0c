"""From batches to the rows that a commit writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.apdb.rows.tables import CHECKPOINT, FURTHER, N_COUNTER_SHARDS


@dataclass(frozen=True, slots=True)
class StoreRows:
    """The rows of one transaction.

    Attributes
    ----------
    superseded : `numpy.ndarray` [int64], shape (k,)
        Objects whose stored open version, if they have one, ends now.
    ends : `numpy.ndarray` [float64], shape (k,)
        When it ends: ``validityStartMjdTai`` of the object's first new
        version, or the processing time of the batch that closes it.
    tables : `dict` [`str`, `pyarrow.Table`]
        New rows of dax_apdb's tables and of our table beside DiaObject, where there are any.
    tiles : `numpy.ndarray` [int64]
        Sorted union of the tiles that change.
    voided : `numpy.ndarray` [int64]
        Objects whose checkpoints, if they have one, are to be deleted before the new ones are stored.
    shard, delta : `int`
        Row of the single-source counter to change, and by how much.
    """

    superseded: IntArray
    ends: FloatArray
    tables: dict[str, pa.Table]
    tiles: IntArray
    voided: IntArray
    shard: int
    delta: int


def store_rows(changes: Sequence[BatchChanges]) -> StoreRows:
    """Return the rows that store these batches, in their order.

    Parameters
    ----------
    changes : sequence of `BatchChanges`
        Batches; a later one supersedes object versions of an earlier one.
    """
    objects = pa.concat_tables([change.dia_objects for change in changes])
    objects, last_rows, superseded, ends = _close_versions(objects)
    closed = [change.closed.diaObjectId for change in changes]
    closing = [np.full(len(change.closed), change.entry.timeProcessedMjdTai) for change in changes]
    last_columns = [*apdb_table("DiaObjectLast").names, "pixelId"]
    tables = {
        "DiaObject": objects,
        "DiaObjectLast": objects.select(last_columns).take(pa.array(last_rows)),
        "DiaSource": pa.concat_tables([change.dia_sources for change in changes]),
        "DiaForcedSource": pa.concat_tables([change.forced_sources for change in changes]),
    }
    further = [change.further_statistics for change in changes if change.further_statistics is not None]
    if further:
        tables[FURTHER] = pa.concat_tables(further)
    tables[CHECKPOINT] = pa.concat_tables([checkpoint_rows(change.checkpoints) for change in changes])
    tiles = np.unique(np.concatenate([np.asarray(change.tiles, np.int64) for change in changes]))
    return StoreRows(
        superseded=np.concatenate([superseded, *closed]),
        ends=np.concatenate([ends, *closing]),
        tables={name: table for name, table in tables.items() if table.num_rows},
        tiles=tiles,
        voided=np.unique(
            np.concatenate([*closed, *(ids for one in changes for ids in (one.voided, one.checkpoints.diaObjectId))])
        ),
        shard=int(tiles[0]) % N_COUNTER_SHARDS if len(tiles) else 0,
        delta=sum(change.single_source_delta for change in changes),
    )


def checkpoint_rows(checkpoints: Checkpoints) -> pa.Table:
    """Return the rows of these checkpoints."""
    return pa.table(
        {
            "diaObjectId": checkpoints.diaObjectId,
            "validityStartMjdTai": checkpoints.validityStartMjdTai,
            "layout": np.full(len(checkpoints), checkpoints.layout, np.int64),
            "state": pa.array([bytes(blob) for blob in checkpoints.blobs], pa.binary()),
        }
    )


def _close_versions(objects: pa.Table) -> tuple[pa.Table, IntArray, IntArray, FloatArray]:
    """Close each version by the next of the same object.

    Returns the table with ``validityEndMjdTai`` set, the row of each object's
    last version, and for each object the start of its first one.
    """
    ids = int_column(objects, "diaObjectId")
    starts = np.asarray(objects.column("validityStartMjdTai").to_numpy(), np.float64)
    order = np.argsort(ids, kind="stable")
    same_as_next = np.zeros(len(order), np.bool_)
    same_as_next[:-1] = ids[order[:-1]] == ids[order[1:]]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = ~same_as_next[:-1]
    if same_as_next.any():
        ends = np.zeros(len(ids))
        is_open = np.ones(len(ids), np.bool_)
        closed = order[:-1][same_as_next[:-1]]
        ends[closed] = starts[order[1:][same_as_next[:-1]]]
        is_open[closed] = False
        column = objects.schema.get_field_index("validityEndMjdTai")
        objects = objects.set_column(column, objects.schema.field(column), pa.array(ends, mask=is_open))
    first = order[is_first]
    return objects, order[~same_as_next], ids[first], starts[first]


def repeated(ids: IntArray) -> IntArray:
    """Return the identifiers that occur more than once, ascending."""
    unique, counts = np.unique(ids, return_counts=True)
    return unique[counts > 1]


def stored_elsewhere(stored: Iterable[Sequence[Any]], changes: Sequence[BatchChanges]) -> list[int]:
    """Return those stored sources (diaSourceId, visit, detector) that none of the batches replaces."""
    replaced = {change.entry.id for change in changes if change.entry.revision}
    return [identifier for identifier, *batch in stored if tuple(batch) not in replaced]


def int_column(table: pa.Table, name: str) -> IntArray:
    """Return an identifier column, which has no nulls, as int64."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)
