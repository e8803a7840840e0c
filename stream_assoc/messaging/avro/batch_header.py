"""What stands at the beginning of a batch's message, read without decoding its sources."""

import io
from functools import lru_cache
from typing import Any, Final, NamedTuple

import fastavro
import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import FloatArray
from stream_assoc.messaging.avro.codec import MALFORMED, SealedReader
from stream_assoc.messaging.avro.schemas import BATCH, writer_schemas
from stream_assoc.messaging.avro.wire import AvroSchema, WriterSchemas, split
from stream_assoc.messaging.exceptions import DecodeError

_WANTED: Final = ("visit", "detector", "midpointMjdTai")

_LONGEST: Final = 4096
"""Bytes that the first fields may take; they are numbers and short text."""


class BatchPrefix(NamedTuple):
    """Which batch a message is, and when it was observed (MJD TAI)."""

    id: BatchId
    midpointMjdTai: float


def batch_prefix(value: bytes | None, schemas: WriterSchemas | None = None) -> BatchPrefix:
    """Return what a message says of its batch, some microseconds' work; the rest may be damaged.

    Parameters
    ----------
    value : `bytes` or `None`
        Value of a message.
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; those of this version by default.

    Raises
    ------
    DecodeError
        If its beginning is not that of a batch.
    RegistryUnavailableError
        If the schema must be asked for and the registry does not answer.
    """
    schema_id, payload = split(value)
    writer_schema = writer_schemas(BATCH, schemas).writer_schema(schema_id)
    begin = _beginning(tuple(_fields(writer_schema)))
    try:
        record: Any = fastavro.schemaless_reader(io.BytesIO(payload[:_LONGEST]), begin, None)
        visit, detector, midpoint = (record[name] for name in _WANTED)
        return BatchPrefix(BatchId(int(visit), int(detector)), float(midpoint))
    except MALFORMED as error:
        raise DecodeError(f"the message does not begin as a batch: {error!r}", "undecodable") from error


def _fields(schema: AvroSchema) -> list[tuple[str, str]]:
    """Return the names and types of a schema's leading primitive fields."""
    leading = []
    for field in schema["fields"]:
        if not isinstance(field["type"], str):
            break
        leading.append((field["name"], field["type"]))
    return leading


@lru_cache
def _beginning(fields: tuple[tuple[str, str], ...]) -> AvroSchema:
    parsed: Any = fastavro.parse_schema(
        {"type": "record", "name": "Beginning", "fields": [{"name": name, "type": kind} for name, kind in fields]}
    )
    return dict(parsed)


def batch_outline(value: bytes | None, schemas: WriterSchemas | None = None) -> tuple[int, FloatArray]:
    """Return the visit of a message and its footprint, shape (k, 2), ra and dec in degrees; nothing is validated.

    Raises
    ------
    DecodeError
        If the bytes cannot be read with their writer's schema, or there is no footprint.
    RegistryUnavailableError
        If the schema must be asked for and the registry does not answer.
    """
    schema_id, payload = split(value)
    schema = writer_schemas(BATCH, schemas).writer_schema(schema_id)
    (row,) = SealedReader(schema).read([payload]).select(["visit", "footprint"]).to_pylist()
    corners = np.array([(one["ra"], one["dec"]) for one in row["footprint"]], np.float64).reshape(-1, 2)
    if not len(corners) or not has_position(corners[:, 0], corners[:, 1]).all():
        raise DecodeError("the batch has no footprint on the sky", "undecodable")
    return int(row["visit"]), corners


def batch_header(value: bytes | None, schemas: WriterSchemas | None = None) -> dict[str, Any]:
    """Return the fields of a batch that are one value each, and the length of each list.

    Nothing is validated, since it is the invalid that is looked at: the
    writer's fields are told as they were written.

    Parameters
    ----------
    value : `bytes` or `None`
        Value of the message.
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; those of this version by default.

    Raises
    ------
    DecodeError
        If the bytes cannot be read with their writer's schema.
    RegistryUnavailableError
        If the schema must be asked for and the registry does not answer.
    """
    schema_id, payload = split(value)
    schema = writer_schemas(BATCH, schemas).writer_schema(schema_id)
    row = SealedReader(schema).read([payload]).select([field["name"] for field in schema["fields"]])
    return {
        name: len(scalar.values) if isinstance(scalar, pa.ListScalar) else scalar.as_py()
        for name, scalar in zip(row.schema.names, (column[0] for column in row.columns), strict=True)
    }
