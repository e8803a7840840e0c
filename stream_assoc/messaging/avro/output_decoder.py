"""The subscriber's side: messages of the output topics back to rows and records."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.schema import PIXEL_ID, apdb_table
from stream_assoc.core.model.times import checked_mjd
from stream_assoc.messaging.avro.codec import RecordCodec, SealedReader, contiguous
from stream_assoc.messaging.avro.resolution import resolve
from stream_assoc.messaging.avro.schemas import FORCED_SOURCE, METRICS, OBJECT, load_schema, writer_schemas
from stream_assoc.messaging.avro.wire import WriterSchemas, split
from stream_assoc.messaging.exceptions import DecodeError


def object_schema() -> pa.Schema:
    """Return the Arrow schema of published objects.

    It is DiaObject in Rubin's types, ``pixelId``, ``statistics``, a record of those
    of `~stream_assoc.core.model.further_statistics` that is null where the daemon computes none of them,
    and ``pluginStatistics``, a map of what plugins of other packages compute, null without such.
    """
    statistics = pa.struct([column.arrow_field() for column in further_statistics()])
    columns = [column.arrow_field() for column in (*apdb_table("DiaObject").columns, PIXEL_ID)]
    plugins = pa.map_(pa.string(), pa.float64())
    return pa.schema([*columns, pa.field("statistics", statistics), pa.field("pluginStatistics", plugins)])


def decode_objects(values: Sequence[bytes | None], schemas: WriterSchemas | None = None) -> pa.RecordBatch:
    """Decode messages of the objects topic.

    Parameters
    ----------
    values : `~collections.abc.Sequence` [`bytes` or `None`]
        Values of the messages; their schemas may differ. A message without a
        value tells that the object its key names has ended: it gives no row.
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; those of this version by default.

    Returns
    -------
    rows : `pyarrow.RecordBatch`
        One row a value, in order, with the columns of `object_schema`.

    Raises
    ------
    DecodeError
        If one of them is no message of this topic.
    """
    present = [value for value in values if value is not None]
    return _decode(present, object_schema(), OBJECT, schemas)


def decode_forced_sources(values: Sequence[bytes | None], schemas: WriterSchemas | None = None) -> pa.RecordBatch:
    """Decode messages of the forced sources topic.

    Parameters
    ----------
    values, schemas
        As for `decode_objects`; every message has a value.

    Returns
    -------
    rows : `pyarrow.RecordBatch`
        One row a value, in order, with the columns of DiaForcedSource in Rubin's types.

    Raises
    ------
    DecodeError
        If one of them is no message of this topic.
    """
    return _decode(values, apdb_table("DiaForcedSource").arrow_schema(), FORCED_SOURCE, schemas)


def _decode(
    values: Sequence[bytes | None], target: pa.Schema, name: str, schemas: WriterSchemas | None
) -> pa.RecordBatch:
    lookup = writer_schemas(name, schemas)
    messages = [split(value) for value in values]
    schema_ids = np.array([schema_id for schema_id, _ in messages], np.int64)
    fields = load_schema(name)["fields"]
    parts = [target.empty_table()]
    order = [np.empty(0, np.int64)]
    for schema_id in np.unique(schema_ids).tolist():
        rows = np.flatnonzero(schema_ids == schema_id)
        written = SealedReader(lookup.writer_schema(schema_id)).read([messages[row][1] for row in rows])
        columns = dict(zip(written.schema.names, written.columns, strict=True))
        parts.append(pa.Table.from_batches([resolve(columns, len(rows), fields, target)]))
        order.append(rows)
    table = pa.concat_tables(parts).take(np.argsort(np.concatenate(order)))
    return pa.RecordBatch.from_arrays(list(map(contiguous, table.columns)), schema=target)


def decode_metrics(value: bytes | None, schemas: WriterSchemas | None = None) -> AssociationMetrics:
    """Decode a message of the metrics topic.

    Raises
    ------
    DecodeError
        If it is no message of this topic, or its times are none of an
        observation: whoever reads it makes dates of them.
    """
    schema_id, payload = split(value)
    writer_schema = writer_schemas(METRICS, schemas).writer_schema(schema_id)
    metrics = AssociationMetrics(**RecordCodec(load_schema(METRICS)).read(payload, writer_schema))
    try:
        checked_mjd(metrics.midpointMjdTai, "midpointMjdTai")
        checked_mjd(metrics.timeProcessedMjdTai, "timeProcessedMjdTai")
    except ValueError as error:
        raise DecodeError(f"visit {metrics.visit} detector {metrics.detector}: {error}", "invalid_time") from None
    return metrics
