"""The Confluent wire format: a zero byte, a four-byte schema id, the Avro datum.

Rubin's alert packets have the ids ``major * 100 + minor`` (DMTN-093), and a
Schema Registry counts from 1, some services of it from 100,001. Ids of our own
begin at a billion, where neither comes: an id says by itself whose it is.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from stream_assoc.messaging.exceptions import DecodeError

AvroSchema: TypeAlias = dict[str, Any]
"""An Avro record schema, as `json.loads` gives it."""

AvroType: TypeAlias = str | list[Any] | dict[str, Any]
"""Any Avro type: a name, a union, or a schema."""

MAGIC: Final = 0
_HEADER: Final = struct.Struct(">BI")
HEADER_BYTES: Final = _HEADER.size


OWN_IDS: Final = 1_000_000_000
"""Where the ids of our own schemas begin. Some clients read an id as a signed number: all lie below 2^31."""
_IDS_OF_A_SCHEMA: Final = 1_000_000


def rubin_schema_id(major: int, minor: int) -> int:
    """Return the schema id of a version of Rubin's alert packets."""
    return major * 100 + minor


def own_schema_id(number: int, major: int, minor: int) -> int:
    """Return the id of a version of one of our schemas: 1,003,000,102 is version 1.2 of the third."""
    return OWN_IDS + number * _IDS_OF_A_SCHEMA + rubin_schema_id(major, minor)


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
        found = self.get(schema_id)
        if found is None:
            known = ", ".join(map(str, sorted(self._schemas)))
            raise DecodeError(
                f"schema id {schema_id} is not known (known: {known}); configure the Schema Registry that assigned "
                "it, or write with a schema of this version",
                "unknown_schema",
            )
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._schemas)

    def get(self, schema_id: int) -> AvroSchema | None:
        """Return the schema with this id, or `None`."""
        return self._schemas.get(schema_id)


class TopicSchemas:
    """The schemas of one topic, our own and those that a registry knows.

    An id of our own is never asked for, so that messages are read that were
    written without a registry: before there was one, or beside it. An id below
    is the registry's. Where it has none of that id, the message may be of one of the
    first releases, which used ids of Rubin's kind.

    Parameters
    ----------
    known : `KnownSchemas`
        Those that need no registry.
    registry : `WriterSchemas`
        Whom to ask for all others.
    """

    def __init__(self, known: KnownSchemas, registry: WriterSchemas) -> None:
        self._known = known
        self._registry = registry

    def writer_schema(self, schema_id: int) -> AvroSchema:
        """Return the schema with this id; see `WriterSchemas`."""
        known = self._known.get(schema_id)
        if known is not None and schema_id >= OWN_IDS:
            return known
        try:
            return self._registry.writer_schema(schema_id)
        except DecodeError as error:
            if known is None or error.reason != "unknown_schema":
                raise
            return known
