"""What stands at the beginning of a batch's message, read without decoding its sources."""

import io
from functools import lru_cache
from typing import Any, Final, NamedTuple

import fastavro

from stream_assoc.core.model.batch import BatchId
from stream_assoc.messaging.avro.records import MALFORMED
from stream_assoc.messaging.avro.schemas import BATCH, known_schemas
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
    writer_schema = (schemas or known_schemas(BATCH)).writer_schema(schema_id)
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
