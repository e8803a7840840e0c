"""Batches to bytes: for producers, replays and simulations."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import Batch
from stream_assoc.messaging.avro.codec import ColumnWriter, refuse_nulls
from stream_assoc.messaging.avro.schemas import BATCH, BATCH_SCHEMA_ID, load_schema
from stream_assoc.messaging.avro.wire import header
from stream_assoc.messaging.exceptions import EncodeError


class BatchEncoder:
    """Encodes batches as messages of the current schema.

    Parameters
    ----------
    schema_id : `int`, optional
        The id to write: the one a Schema Registry gave, or by default our own.

    Attributes
    ----------
    header : `bytes`
        What precedes every datum: the wire format's zero byte and the id.
    """

    def __init__(self, schema_id: int = BATCH_SCHEMA_ID) -> None:
        schema = load_schema(BATCH)
        self._writer = ColumnWriter(schema)
        self.header = header(schema_id)
        sources = next(field for field in schema["fields"] if field["name"] == "diaSources")
        self._required = {
            field["name"] for field in sources["type"]["items"]["fields"] if not isinstance(field["type"], list)
        }

    def encode(self, batch: Batch) -> bytes:
        """Return the value of the batch's Kafka message; its digest plays no part.

        Raises
        ------
        EncodeError
            If the sources lack a measured column, have one of another type,
            or null where a value is required.
        """
        moving = batch.solar_system_objects
        schema = self._writer.arrow_schema
        refuse_nulls(batch.diaSources, self._required)
        columns = {
            "visit": pa.array([batch.id.visit], pa.int64()),
            "detector": pa.array([batch.id.detector], pa.int32()),
            "band": pa.array([batch.band], pa.string()),
            "midpointMjdTai": pa.array([batch.midpointMjdTai], pa.float64()),
            "exposureTime": pa.array([batch.exposureTime], pa.float32()),
            "footprint": _list(schema, "footprint", map(pa.array, np.ascontiguousarray(batch.footprint.T))),
            "differenceImageUri": pa.array([batch.images.difference], pa.string()),
            "scienceImageUri": pa.array([batch.images.science], pa.string()),
            "templateImageUri": pa.array([batch.images.template], pa.string()),
            "observationReason": pa.array([batch.observation.reason], pa.string()),
            "targetName": pa.array([batch.observation.target], pa.string()),
            "solarSystemObjects": _list(
                schema, "solarSystemObjects", map(pa.array, (moving.ssObjectId, moving.ra, moving.dec))
            ),
            "diaSources": _list(schema, "diaSources", _source_columns(schema, batch.diaSources)),
        }
        (datum,) = self._writer.write(
            pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        )
        return b"".join((self.header, datum.as_buffer()))


def _source_columns(schema: pa.Schema, sources: pa.RecordBatch) -> Iterable[pa.Array]:
    wanted = schema.field("diaSources").type.value_type
    given = dict(zip(sources.schema.names, sources.columns, strict=True))
    missing = [field.name for field in wanted if field.name not in given]
    if missing:
        raise EncodeError(f"the sources have no {', '.join(missing)}; give every measured column")
    return (given[field.name] for field in wanted)


def _list(schema: pa.Schema, name: str, columns: Iterable[pa.Array]) -> pa.ListArray:
    """Return a list array of one row, which holds all the records of these columns."""
    list_type = schema.field(name).type
    try:
        records = pa.StructArray.from_arrays(list(columns), fields=list(list_type.value_type))
    except (TypeError, pa.ArrowInvalid) as error:
        raise EncodeError(f"{name} cannot be written: {error}") from error
    return pa.ListArray.from_arrays(pa.array([0, len(records)], pa.int32()), records, type=list_type)
