"""Messages as the bytes that wait in the outbox."""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.exceptions import OutboxFormatError

_MAGIC: Final = b"SAO1"
_FRAME: Final = struct.Struct(">4sI")
_MESSAGES: Final = pa.schema(
    [
        pa.field("topic", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.map_(pa.string(), pa.binary()), nullable=False),
    ]
)


def pack_outputs(messages: Sequence[OutputMessage]) -> bytes:
    """Return messages as one value for the outbox.

    The same messages give the same bytes: ``SAO1``, the CRC-32 of what
    follows, and an Arrow IPC stream compressed with Zstandard.
    """
    topics, keys, values, headers = zip(*messages, strict=True) if messages else ((), (), (), ())
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(topics, pa.string()).dictionary_encode(),
            pa.array(keys, pa.binary()),
            _joined(values),
            pa.array(headers, pa.map_(pa.string(), pa.binary())),
        ],
        schema=_MESSAGES,
    )
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
    with pa.ipc.new_stream(sink, _MESSAGES, options=options) as writer:
        writer.write_batch(rows)
    body = sink.getvalue()
    return b"".join((_FRAME.pack(_MAGIC, zlib.crc32(body)), body))


def _joined(values: Sequence[bytes | None]) -> pa.Array:
    """Return the array that `pyarrow.array` makes, in half the time: the size of its buffer is known at once."""
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return pa.array(values, pa.binary())
    offsets = offsets_of(np.fromiter(map(len, present), np.int64, len(present)))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(present))]
    # The cast refuses what 32 bits cannot count.
    return pa.Array.from_buffers(pa.large_binary(), len(present), buffers, null_count=0).cast(pa.binary())


def unpack_outputs(packed: bytes) -> list[OutputMessage]:
    """Return the messages that `pack_outputs` packed.

    Raises
    ------
    OutboxFormatError
        If the bytes are damaged or of another format. They were written by
        this package into the APDB, so nothing can be published in their place.
    """
    if len(packed) < _FRAME.size:
        raise OutboxFormatError(
            f"an outbox entry of {len(packed)} bytes is cut short; restore the APDB's outbox table"
        )
    magic, checksum = _FRAME.unpack_from(packed)
    body = memoryview(packed)[_FRAME.size :]
    if magic != _MAGIC:
        raise OutboxFormatError(
            f"an outbox entry begins with {magic!r}, not {_MAGIC!r}; it needs the version that wrote it"
        )
    if zlib.crc32(body) != checksum:
        raise OutboxFormatError("an outbox entry does not match its checksum; restore the APDB's outbox table")
    table = _read_messages(body)
    columns = (table.column(name).to_pylist() for name in _MESSAGES.names)
    return [
        OutputMessage(topic, key, value, tuple(headers)) for topic, key, value, headers in zip(*columns, strict=True)
    ]


def _read_messages(body: memoryview) -> pa.Table:
    """Return the table of an Arrow stream whose checksum is right: what is wrong with it, another writer did."""
    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            if not reader.schema.equals(_MESSAGES):
                raise OutboxFormatError("an outbox entry has other columns; it needs the version that wrote it")
            table = reader.read_all()
        # Arrow trusts lengths and offsets as they are; looked up unchecked, they may lead out of the buffer.
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutboxFormatError(
            f"an outbox entry cannot be read: {error}; restore the APDB's outbox table"
        ) from error
    return table
