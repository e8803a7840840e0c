"""The Confluent wire format: a zero byte, a four-byte schema id, the Avro datum.

Without a Schema Registry the ids follow Rubin's convention for alert packets
(DMTN-093): ``major * 100 + minor``, so that 100 is version 1.0.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeAlias

from stream_assoc.messaging.exceptions import DecodeError

AvroSchema: TypeAlias = dict[str, Any]
"""An Avro record schema, as `json.loads` gives it."""

AvroType: TypeAlias = str | list[Any] | dict[str, Any]
"""Any Avro type: a name, a union, or a schema."""

MAGIC: Final = 0
_HEADER: Final = struct.Struct(">BI")
HEADER_BYTES: Final = _HEADER.size


def rubin_schema_id(major: int, minor: int) -> int:
    """Return the schema id of a version where no registry assigns one."""
    return major * 100 + minor


def header(schema_id: int) -> bytes:
    """Return the five bytes that precede every datum of this schema."""
    return _HEADER.pack(MAGIC, schema_id)


def split(value: bytes | None) -> tuple[int, memoryview]:
    """Take a message apart.

    Parameters
    ----------
    value : `bytes` or `None`
        The value of a Kafka message.

    Returns
    -------
    schema_id : `int`
        Id of the schema it was written with.
    payload : `memoryview`
        The Avro datum, not copied.

    Raises
    ------
    DecodeError
        With the reason ``empty`` for a tombstone or no bytes, and
        ``undecodable`` for a value that does not begin with the header.
    """
    if not value:
        raise DecodeError("the message has no value; a batch topic must not carry tombstones", "empty")
    if len(value) < HEADER_BYTES or value[0] != MAGIC:
        raise DecodeError(
            f"the value begins with {value[:HEADER_BYTES].hex()}, not with the byte 00 and a four-byte schema id; "
            "write messages in the Confluent wire format",
            "undecodable",
        )
    _, schema_id = _HEADER.unpack_from(value)
    return schema_id, memoryview(value)[HEADER_BYTES:]


class WriterSchemas(Protocol):
    """Knows the schema behind a schema id."""

    def writer_schema(self, schema_id: int) -> AvroSchema:
        """Return the schema messages with this id were written with.

        Raises
        ------
        DecodeError
            With the reason ``unknown_schema`` if there is none.
        RegistryUnavailableError
            If it cannot be known at present.
        """


class KnownSchemas:
    """The schemas of one topic by id, known without a registry.

    Parameters
    ----------
    schemas : `~collections.abc.Mapping` [`int`, `dict`]
        Every version this reader accepts.
    """

    def __init__(self, schemas: Mapping[int, AvroSchema]) -> None:
        self._schemas = dict(schemas)

    def writer_schema(self, schema_id: int) -> AvroSchema:
        """Return the schema with this id, or raise `DecodeError`."""
        try:
            return self._schemas[schema_id]
        except KeyError:
            known = ", ".join(map(str, sorted(self._schemas)))
            raise DecodeError(
                f"schema id {schema_id} is not known (known: {known}); configure the Schema Registry that assigned "
                "it, or write with a schema of this version",
                "unknown_schema",
            ) from None
