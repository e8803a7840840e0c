"""What can be told of a batch that was refused."""

from typing import Any

import pyarrow as pa

from stream_assoc.messaging.avro.codec import SealedReader
from stream_assoc.messaging.avro.schemas import BATCH, known_schemas
from stream_assoc.messaging.avro.wire import WriterSchemas, split


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
    schema = (schemas or known_schemas(BATCH)).writer_schema(schema_id)
    row = SealedReader(schema).read([payload]).select([field["name"] for field in schema["fields"]])
    return {
        name: len(scalar.values) if isinstance(scalar, pa.ListScalar) else scalar.as_py()
        for name, scalar in zip(row.schema.names, (column[0] for column in row.columns), strict=True)
    }
