"""What a run has left behind, as tables that can be compared: an APDB, or a capture of an output topic."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.further_statistics import TABLE as FURTHER
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.output_decoder import decode_metrics, decode_objects
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.verification import VerificationError
from stream_assoc.tools.verification.differences import TableDifference, Tolerance, compare

PROCESSING_TIMES: Final = frozenset(
    {
        "timeProcessedMjdTai",
        "validityStartMjdTai",
        "validityEndMjdTai",
        "ssObjectReassocTimeMjdTai",
        "timeWithdrawnMjdTai",
        "stageSeconds",
    }
)
"""What the clock decides, which differs from run to run unless it is pinned."""

PLACES: Final = frozenset({"inputTopic", "inputPartition", "inputOffset"})
"""Where a message happened to lie."""

_VERSION: Final = ("diaObjectId", "validityStartMjdTai")

_SLICE: Final = 5_000


class RunTable(NamedTuple):
    """One kind of rows, and the columns that name one."""

    rows: pa.Table
    keys: tuple[str, ...]


Run = dict[str, RunTable]


def read_run(place: str, schemas: WriterSchemas | None = None) -> Run:
    """Read what a run has left behind.

    Parameters
    ----------
    place : `str`
        URL of an APDB (``sqlite:///...``, ``postgresql://...``), or a capture
        file of the metrics or the objects topic.
    schemas : `WriterSchemas`, optional
        Where the writer schemas of a capture are found.

    Raises
    ------
    VerificationError
        If it is neither.
    """
    if "://" in place:
        with closing(open_reader(place, any_version=True)) as reader:
            return _apdb(reader)
    return _capture(Path(place), schemas)


def compare_runs(left: Run, right: Run, tolerance: Tolerance, *, with_times: bool = False) -> list[TableDifference]:
    """Compare two runs, table by table.

    Parameters
    ----------
    left, right : `Run`
        Both from APDBs, or both from captures of the same kind.
    tolerance : `Tolerance`
    with_times : `bool`
        Compare what the clock decides too: both ran under ``daemon.pin_clock_mjd``.

    Raises
    ------
    VerificationError
        If they are of different kinds.
    """
    if left.keys() != right.keys():
        raise VerificationError(
            f"{', '.join(left)} cannot be compared with {', '.join(right)}: give two APDBs or two captures"
        )
    ignored = PLACES if with_times else PLACES | PROCESSING_TIMES
    return [
        compare(
            name, *_of_one_shape(of_left.rows, right[name].rows), of_left.keys, tolerance=tolerance, ignored=ignored
        )
        for name, of_left in left.items()
    ]


def _of_one_shape(left: pa.Table, right: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Give each table the columns that only the other has, null: other plugins compute other statistics."""
    return _with_columns_of(left, right), _with_columns_of(right, left)


def _with_columns_of(rows: pa.Table, other: pa.Table) -> pa.Table:
    for field in other.schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.with_nullable(True), pa.nulls(rows.num_rows, field.type))
    return rows


def _apdb(reader: ApdbReader) -> Run:
    versions = reader.all_versions(["diaObjectId"])["diaObjectId"]
    current = reader.all_versions(only_current=True)
    ids, counts = np.unique(np.asarray(versions.to_numpy(), np.int64), return_counts=True)
    place = np.searchsorted(ids, np.asarray(current["diaObjectId"].to_numpy(), np.int64))
    current = current.append_column("number of versions", pa.array(counts[place]))
    sources = reader.all_sources()
    forced = reader.all_forced_sources()
    return {
        "batches": RunTable(_batches(sources), ("visit", "detector")),
        "DiaSource": RunTable(sources, ("diaSourceId",)),
        "DiaObject": RunTable(current, ("diaObjectId",)),
        "DiaForcedSource": RunTable(forced, ("diaObjectId", "visit", "detector")),
        FURTHER: RunTable(_further(reader.all_further_statistics(), current), ("diaObjectId",)),
    }


def _further(rows: pa.Table, current: pa.Table) -> pa.Table:
    """Return the further statistics of the current objects."""
    versions = current.select(_VERSION).append_column("is current", pa.repeat(True, current.num_rows))
    joined = rows.join(versions, list(_VERSION), join_type="inner")
    return joined.drop_columns(["validityStartMjdTai", "is current"])


def _batches(sources: pa.Table) -> pa.Table:
    """Return what can be said of each visit and detector as a whole."""
    counted = sources.append_column("counts", pc.is_null(sources["timeWithdrawnMjdTai"]).cast(pa.int64()))
    counted = counted.append_column(
        "new", pc.fill_null(pc.equal(sources["diaSourceId"], sources["diaObjectId"]), False).cast(pa.int64())
    )
    grouped = counted.group_by(["visit", "detector"]).aggregate(
        [("diaSourceId", "count"), ("counts", "sum"), ("new", "sum")]
    )
    return grouped.rename_columns(
        {
            "diaSourceId_count": "stored sources",
            "counts_sum": "sources that count",
            "new_sum": "sources that created an object",
        }
    )


def _capture(path: Path, schemas: WriterSchemas | None) -> Run:
    if not path.is_file():
        raise VerificationError(f"{path} is no capture file, nor the URL of an APDB such as sqlite:///run.sqlite3")
    values: list[tuple[bytes | None, bytes | None]] = [
        (event.message.key, event.message.value) for event in read_capture(path)
    ]
    written = [value for _, value in values if value is not None]
    if not written:
        raise VerificationError(f"{path} holds no message with a value, so nothing tells what it is a capture of")
    readers: tuple[Callable[[], Run], ...] = (
        lambda: _metrics(written, schemas),
        lambda: _objects(values, schemas),
    )
    for read in readers:
        try:
            return read()
        except DecodeError as error:
            failure = error
    raise VerificationError(f"{path} is a capture of neither the metrics nor the objects topic: {failure}")


def _metrics(values: list[bytes], schemas: WriterSchemas | None) -> Run:
    records: dict[tuple[int, int, int], dict[str, Any]] = {}
    for value in values:
        metrics = decode_metrics(value, schemas)
        record = {**asdict(metrics), "stageSeconds": json.dumps(dict(metrics.stageSeconds), sort_keys=True)}
        records[metrics.visit, metrics.detector, metrics.revision] = record
    rows = pa.Table.from_pylist(list(records.values()), _metrics_schema())
    return {"association-metrics": RunTable(rows, ("visit", "detector", "revision"))}


def _metrics_schema() -> pa.Schema:
    # A column that holds nothing but nulls would tell no type by itself.
    hints = get_type_hints(AssociationMetrics)
    kinds = {name: hint if isinstance(hint, type) else get_args(hint)[0] for name, hint in hints.items()}
    kinds["stageSeconds"] = str
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    return pa.schema([pa.field(name, types[kind]) for name, kind in kinds.items()])


def _objects(messages: list[tuple[bytes | None, bytes | None]], schemas: WriterSchemas | None) -> Run:
    """Return the last version of each object; one that has ended has none."""
    last = dict(messages)
    values = [value for value in last.values() if value is not None]
    # A record within a row becomes columns, which can be compared, and so does a map.
    rows = _without_map(pa.Table.from_batches(list(_decoded(values, schemas))).flatten(), "pluginStatistics")
    return {"dia-objects": RunTable(rows, ("diaObjectId",))}


def _without_map(rows: pa.Table, column: str) -> pa.Table:
    """Return the table with a column for each key of a map, in place of the map."""
    maps = rows[column]
    keys = pc.unique(pa.concat_arrays([chunk.keys for chunk in maps.chunks])).to_pylist() if maps.num_chunks else []
    for key in sorted(keys):
        rows = rows.append_column(f"{column}.{key}", pc.map_lookup(maps, pa.scalar(key), "first"))
    return rows.drop_columns([column])


def _decoded(values: list[bytes], schemas: WriterSchemas | None) -> Iterator[pa.RecordBatch]:
    yield decode_objects([], schemas)
    for begin in range(0, len(values), _SLICE):
        yield decode_objects(values[begin : begin + _SLICE], schemas)
