"""Results to messages."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.codec import RecordCodec, contiguous
from stream_assoc.messaging.avro.row_writer import RowWriter
from stream_assoc.messaging.avro.schemas import (
    FORCED_SOURCE,
    FORCED_SOURCE_SCHEMA_ID,
    METRICS,
    METRICS_SCHEMA_ID,
    OBJECT,
    OBJECT_SCHEMA_ID,
    load_schema,
)
from stream_assoc.messaging.avro.wire import header
from stream_assoc.messaging.outbox_format import pack_outputs, unpack_outputs


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """Where results go."""

    objects: str = "dia-objects"
    metrics: str = "association-metrics"
    forced_sources: str = "dia-forced-sources"


@dataclass(frozen=True, slots=True)
class OutputSchemaIds:
    """The schema ids to write: those a Schema Registry gave, or by default our own."""

    objects: int = OBJECT_SCHEMA_ID
    metrics: int = METRICS_SCHEMA_ID
    forced_sources: int = FORCED_SOURCE_SCHEMA_ID


_NEW_MESSAGE: Final = functools.partial(tuple.__new__, OutputMessage)
"""Takes the fields of a message as one tuple; a named tuple's own constructor is written in Python, and slower."""

_OBJECT_KEY: Final = ("diaObjectId", "validityStartMjdTai")


class AvroOutputEncoder:
    """Encodes what a batch led to: one message an object, one a forced source, and one of metrics.

    It is the pipeline's `~stream_assoc.pipeline.ports.encoder.OutputEncoder`.

    Objects and forced sources are keyed by ``diaObjectId`` as decimal text, so
    that a compacted objects topic holds the current version of each; metrics
    by ``visit.detector``.

    Parameters
    ----------
    topics : `OutputTopics`, optional
        Where the messages go.
    schema_ids : `OutputSchemaIds`, optional
        The schema ids to write.
    """

    def __init__(self, topics: OutputTopics | None = None, schema_ids: OutputSchemaIds | None = None) -> None:
        self._topics = topics or OutputTopics()
        ids = schema_ids or OutputSchemaIds()
        self._metrics_header = header(ids.metrics)
        self._objects = RowWriter(load_schema(OBJECT), header(ids.objects))
        self._forced_source_header = header(ids.forced_sources)
        self._metrics = RecordCodec(load_schema(METRICS))

    @functools.cached_property
    def _forced_sources(self) -> RowWriter:
        return RowWriter(load_schema(FORCED_SOURCE), self._forced_source_header)

    def encode(
        self, dia_objects: pa.Table, metrics: AssociationMetrics, further: pa.Table | None = None
    ) -> list[OutputMessage]:
        """Return the messages of one batch, the metrics last.

        Parameters
        ----------
        dia_objects : `pyarrow.Table`
            New DiaObject versions, every column including ``pixelId``. NaN in
            a nullable column is written as null.
        metrics : `AssociationMetrics`
            What association did.
        further : `pyarrow.Table`, optional
            For each row of ``dia_objects`` its further statistics, any of
            their columns (`~stream_assoc.core.model.further_statistics`), and
            those of plugins of other packages.

        Raises
        ------
        EncodeError
            If a column is missing, of another type, or null where a value is
            required.
        """
        return [*self.encode_objects(dia_objects, further), self.encode_metrics(metrics)]

    def encode_objects(self, dia_objects: pa.Table, further: pa.Table | None = None) -> list[OutputMessage]:
        """Return one message for each row, in order, of whichever batches. See `encode`."""
        schema, n_rows = self._objects.arrow_schema, dia_objects.num_rows
        field, plugin_field = schema.field("statistics"), schema.field("pluginStatistics")
        rows = dia_objects.append_column(field, statistics_records(further, field.type, n_rows))
        others = _other_columns(further, field.type)
        rows = rows.append_column(plugin_field, plugin_statistics(others, plugin_field.type, n_rows))
        return _messages(rows, self._objects, self._topics.objects)

    def encode_forced_sources(self, forced_sources: pa.Table) -> list[OutputMessage]:
        """Return one message for each DiaForcedSource, in order, keyed by its diaObjectId. See `encode`."""
        if not forced_sources.num_rows:
            return []
        detector = forced_sources.schema.get_field_index("detector")
        # Avro has no 16-bit integer.
        rows = forced_sources.set_column(detector, "detector", forced_sources.column("detector").cast(pa.int32()))
        return _messages(rows, self._forced_sources, self._topics.forced_sources)

    def encode_closed(self, diaObjectId: IntArray, validityEndMjdTai: float) -> list[OutputMessage]:
        """Return one message for each object that has ended: its key without a value.

        Log compaction then forgets the object. When it ended stands in the
        header ``validityEndMjdTai`` as text.
        """
        headers = (("validityEndMjdTai", repr(validityEndMjdTai).encode()),)
        return [
            OutputMessage(self._topics.objects, str(identifier).encode(), None, headers)
            for identifier in diaObjectId.tolist()
        ]

    def pack(self, messages: Sequence[OutputMessage]) -> bytes:
        """Return messages as one value for the outbox; see `~stream_assoc.messaging.outbox_format.pack_outputs`."""
        return pack_outputs(messages)

    def unpack(self, packed: bytes) -> list[OutputMessage]:
        """Return the messages that `pack` packed; see `~stream_assoc.messaging.outbox_format.unpack_outputs`."""
        return unpack_outputs(packed)

    def encode_metrics(self, metrics: AssociationMetrics) -> OutputMessage:
        """Return the message of one batch's metrics. See `encode`."""
        record = {field.name: getattr(metrics, field.name) for field in fields(metrics)}
        return OutputMessage(
            self._topics.metrics,
            f"{metrics.visit}.{metrics.detector}".encode(),
            self._metrics_header + self._metrics.write(record),
        )


def _messages(rows: pa.Table, writer: RowWriter, topic: str) -> list[OutputMessage]:
    """Return one message for each row, keyed by its diaObjectId."""
    values = writer.write(pa.RecordBatch.from_arrays(list(map(contiguous, rows.columns)), names=rows.column_names))
    keys = contiguous(rows.column("diaObjectId")).cast(pa.string()).cast(pa.binary())
    return list(map(_NEW_MESSAGE, zip(repeat(topic), keys.to_pylist(), values.to_pylist(), repeat(()))))


def statistics_records(further: pa.Table | None, record: pa.StructType, n_rows: int) -> pa.Array:
    """Return the further statistics as one record a row, with null for those that are not given; else all null."""
    if further is None:
        return pa.nulls(n_rows, record)
    given = set(further.column_names)
    columns = [
        contiguous(further.column(field.name)) if field.name in given else pa.nulls(n_rows, field.type)
        for field in record
    ]
    return pa.StructArray.from_arrays(columns, fields=list(record))


def _other_columns(further: pa.Table | None, record: pa.StructType) -> dict[str, pa.Array]:
    """Return the columns that are neither the object's key nor in the record: those of plugins of other packages."""
    if further is None:
        return {}
    known = {*_OBJECT_KEY, *(field.name for field in record)}
    return {name: contiguous(further.column(name)) for name in further.column_names if name not in known}


def plugin_statistics(columns: Mapping[str, pa.Array], kind: pa.MapType, n_rows: int) -> pa.Array:
    """Return columns as one map a row, from the column's name to its value; all null without a column."""
    if not columns:
        return pa.nulls(n_rows, kind)
    n_columns = len(columns)
    # Column by column to row by row.
    place = np.arange(n_rows * n_columns).reshape(n_columns, n_rows).T.ravel()
    values = pa.concat_arrays(list(columns.values())).take(pa.array(place))
    names = pa.array(columns, pa.string()).take(pa.array(np.tile(np.arange(n_columns), n_rows)))
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_columns)
    return pa.MapArray.from_arrays(offsets, names, values, kind)
