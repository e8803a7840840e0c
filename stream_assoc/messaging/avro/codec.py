"""Avro and Arrow: whole columns at a time, through pyruhvro.

pyruhvro reads a datum about forty times faster than fastavro, but by itself it
ignores bytes after the datum, truncates integers, takes any bytes for text,
and writes a null in a required column as zero. The two classes here close these gaps.
"""

import functools
import io
import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from stream_assoc.messaging.avro.resolution import readable
from stream_assoc.messaging.avro.wire import AvroSchema, AvroType
from stream_assoc.messaging.exceptions import DecodeError, EncodeError

_SEAL_FIELD: Final = "stream_assoc_seal"


class SealedReader:
    """Reads data of one writer schema, each exactly to its last byte.

    Every datum is handed over with a *seal* behind it, eight bytes that no
    datum can know, and read with a schema that has one field more. The seal
    comes out unharmed only if the datum ended exactly where it should: with
    bytes to spare the field holds those, and with bytes missing there is
    nothing left to fill it. That costs one copy of the payload.

    Integers are read as 64-bit ones, which have the same encoding, so that
    a number that does not fit its column is refused when it is cast. What a
    writer schema may be is told in `stream_assoc.messaging.avro.resolution`.

    Parameters
    ----------
    writer_schema : `dict`
        The record schema the data were written with.

    Raises
    ------
    DecodeError
        With the reason ``incompatible_schema`` if the schema is none that can
        be read into columns.
    """

    def __init__(self, writer_schema: AvroSchema) -> None:
        self._schema = json.dumps(_sealed(writer_schema))
        # The leading bits make it a finite double, which equals itself.
        self._seal = secrets.token_bytes(7) + b"\x3f"
        self._seal_value = pa.scalar(struct.unpack("<d", self._seal)[0])
        try:
            pyruhvro.avro_to_arrow_schema(self._schema)
        except ValueError as error:
            raise DecodeError(f"the writer schema cannot be read: {error}", "incompatible_schema") from error

    def read(self, payloads: Sequence[bytes | memoryview]) -> pa.RecordBatch:
        """Read some data into one row each.

        Memory is bounded by the payloads: what a datum claims to hold is not
        reserved before it has been read.

        Raises
        ------
        DecodeError
            With the reason ``undecodable`` if one of them is truncated, has
            bytes to spare, or is not what the writer schema says.
        """
        try:
            rows = pyruhvro.deserialize_array([b"".join((payload, self._seal)) for payload in payloads], self._schema)
            # pyruhvro copies text as it is, and text that is not UTF-8 would fail whoever looks at it later.
            rows.validate(full=True)
        except ValueError as error:
            raise DecodeError(f"the payload is not what its schema says: {error}", "undecodable") from error
        except BaseException as error:
            # Let through, a panic would end the daemon, and again each time it reads the message anew.
            if not _is_panic(error):
                raise
            raise DecodeError(f"the payload cannot be read, the decoder gave up: {error}", "undecodable") from error
        if not pc.all(pc.equal(rows.column(_SEAL_FIELD), self._seal_value), min_count=0).as_py():
            raise DecodeError(
                "the payload does not end where its schema says; write one datum a message, with its own schema",
                "undecodable",
            )
        return rows


def _sealed(schema: AvroSchema) -> AvroSchema:
    sealed = readable(schema)
    sealed["fields"].append({"name": _SEAL_FIELD, "type": "double"})
    return sealed


def _is_panic(error: BaseException) -> bool:
    """Tell whether this is a panic of Rust code; its class cannot be imported and has no base but `BaseException`."""
    return type(error).__module__ == "pyo3_runtime"


class ColumnWriter:
    """Writes rows of columns as data of one schema.

    Parameters
    ----------
    schema : `dict`
        The record schema to write.

    Attributes
    ----------
    arrow_schema : `pyarrow.Schema`
        The columns that `write` takes.
    """

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = json.dumps(schema)
        self.arrow_schema: pa.Schema = pyruhvro.avro_to_arrow_schema(self._schema)

    def write(self, rows: pa.RecordBatch) -> pa.BinaryArray:
        """Return one datum for each row.

        Raises
        ------
        EncodeError
            If a column is missing, of another type, or null where the schema
            requires a value.
        """
        refuse_nulls(rows, {field.name for field in self.arrow_schema if not field.nullable})
        try:
            (data,) = pyruhvro.serialize_record_batch(rows, self._schema, 1)
        except ValueError as error:
            raise EncodeError(f"the columns do not fit the schema: {error}") from error
        return data


def contiguous(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of a table in one piece."""
    return (
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([*column.chunks, pa.array([], column.type)])
    )


def refuse_nulls(rows: pa.RecordBatch, required: set[str]) -> None:
    """Raise `EncodeError` if a required column lacks a value, which would be written as zero."""
    for name in required & set(rows.schema.names):
        if rows.column(name).null_count:
            raise EncodeError(f"the column {name} is null in {rows.column(name).null_count} rows; it is required")


@functools.cache
def _arrow_type(avro_type: str) -> pa.DataType:
    types = {
        "long": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "float": pa.float32(),
        "boolean": pa.bool_(),
        "string": pa.string(),
    }
    return types[avro_type]


def is_nullable(avro_type: AvroType) -> TypeGuard[list[str]]:
    """Tell whether a field is of the kind ``["null", type]``, the only union these schemas know."""
    return isinstance(avro_type, list)


def is_column(avro_type: AvroType) -> bool:
    """Tell whether a field holds one value a row, not a list or a map of them."""
    return not isinstance(avro_type, dict)


def arrow_field(field: dict[str, Any]) -> pa.Field:
    """Return the Arrow field that carries a single-valued Avro field."""
    avro_type = field["type"]
    nullable = is_nullable(avro_type)
    return pa.field(field["name"], _arrow_type(avro_type[1] if nullable else avro_type), nullable=nullable)


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
