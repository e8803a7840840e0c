"""Avro and single records: metrics and dead letters, through fastavro."""

import io
import struct
from collections.abc import Mapping
from typing import Any, Final

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from stream_assoc.messaging.avro.wire import AvroSchema
from stream_assoc.messaging.exceptions import DecodeError, EncodeError

# What fastavro raises on bytes that are not of the schema; it has no error class of its own for them.
MALFORMED: Final = (EOFError, IndexError, KeyError, TypeError, ValueError, struct.error)


class RecordCodec:
    """Writes and reads single records of one schema.

    Parameters
    ----------
    schema : `dict`
        The record schema, as it is written and as it is wanted when read.
    """

    def __init__(self, schema: AvroSchema) -> None:
        self._schema: Any = fastavro.parse_schema(schema)

    def write(self, record: Mapping[str, Any]) -> bytes:
        """Return the datum of one record.

        Raises
        ------
        EncodeError
            If the record does not fit the schema.
        """
        target = io.BytesIO()
        try:
            fastavro.schemaless_writer(target, self._schema, record, strict=True)
        except MALFORMED as error:
            raise EncodeError(f"the record does not fit {self._schema['name']}: {error}") from error
        return target.getvalue()

    def read(self, payload: bytes | memoryview, writer_schema: AvroSchema) -> dict[str, Any]:
        """Return the record of one datum, resolved from the schema it was written with.

        Raises
        ------
        DecodeError
            With the reason ``incompatible_schema`` if that schema cannot
            become this one, ``undecodable`` if the bytes are not of it.
        """
        source = io.BytesIO(payload)
        try:
            record: Any = fastavro.schemaless_reader(source, writer_schema, self._schema)
        except (SchemaResolutionError, SchemaParseException, UnknownType) as error:
            raise DecodeError(
                f"the writer schema cannot become {self._schema['name']}: {error}", "incompatible_schema"
            ) from error
        except MALFORMED as error:
            raise DecodeError(f"the payload is no {self._schema['name']}: {error!r}", "undecodable") from error
        if source.tell() != len(payload):
            raise DecodeError(
                f"{len(payload) - source.tell()} bytes follow the {self._schema['name']}; write one datum a message",
                "undecodable",
            )
        return dict(record)
