"""Alert packets as brokers hand them out: Avro files, compressed or not, and messages of a topic."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple, cast

import fastavro

from stream_assoc.messaging.avro.alerts.schemas import known_alert_schemas
from stream_assoc.messaging.avro.codec import MALFORMED
from stream_assoc.messaging.avro.wire import HEADER_BYTES, MAGIC, TopicSchemas, WriterSchemas, split
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.tools.replay.alerts.layouts import Layout, layout_of

CONTAINER_MAGIC: Final = b"Obj\x01"
GZIP_MAGIC: Final = b"\x1f\x8b"
FRAME_MAGIC: Final = bytes([MAGIC])

DAMAGE: Final = (*MALFORMED, OSError, zlib.error, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType)
"""What reading bytes raises that are no alert, or no longer one."""

_HEADER: Final = cast(
    dict[str, Any],
    fastavro.parse_schema(
        {
            "type": "record",
            "name": "header",
            "fields": [
                {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": 4}},
                {"name": "meta", "type": {"type": "map", "values": "bytes"}},
                {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": 16}},
            ],
        }
    ),
)


class Packet(NamedTuple):
    """An alert, as much of it as its layout reads."""

    layout: Layout
    record: dict[str, Any]


class PacketReader:
    """Reads alerts. The schema of each is looked at once, not once a packet.

    Parameters
    ----------
    registry : `WriterSchemas`, optional
        Whom to ask for the ids of framed packets; Rubin's own are known.
    history : `bool`, optional
        Whether earlier sources are read too.
    """

    def __init__(self, registry: WriterSchemas | None = None, *, history: bool = False) -> None:
        self._registry = registry
        self._history = history
        self._layouts: dict[bytes | int, Layout] = {}

    def read(self, source: BinaryIO) -> Iterator[Packet]:
        """Read a file or the value of a message: an Avro container, compressed by gzip or not, or a framed packet.

        Raises
        ------
        DecodeError
            If it is none of them or has another schema; or one of `DAMAGE`, if the bytes are
            damaged. What came before is good.
        RegistryUnavailableError
            If a schema must be asked for and the registry does not answer.
        """
        magic = source.read(len(CONTAINER_MAGIC))
        source.seek(-len(magic), io.SEEK_CUR)
        if magic == CONTAINER_MAGIC:
            yield from self._of_container(source)
        elif magic.startswith(GZIP_MAGIC):
            yield from self._of_compressed(source)
        elif magic.startswith(FRAME_MAGIC):
            yield self._framed(source.read())
        else:
            raise DecodeError(
                f"it begins with {magic.hex() or 'nothing'}: it is neither an Avro file, compressed or not, nor a "
                "packet in the Confluent wire format",
                "undecodable",
            )

    def _of_compressed(self, source: BinaryIO) -> Iterator[Packet]:
        with gzip.open(source) as inner:
            if inner.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
                raise DecodeError("it is compressed twice; compress it once", "undecodable")
            inner.seek(0)
            yield from self.read(cast(BinaryIO, inner))

    def _framed(self, value: bytes) -> Packet:
        schema_id, payload = split(value)
        if schema_id not in self._layouts:
            known = known_alert_schemas()
            schemas = known if self._registry is None else TopicSchemas(known, self._registry)
            self._layouts[schema_id] = layout_of(schemas.writer_schema(schema_id), history=self._history)
        layout = self._layouts[schema_id]
        datum = io.BytesIO(payload)
        packet = _read(datum, layout)
        if datum.tell() != len(payload):
            raise DecodeError(
                f"{len(value) - HEADER_BYTES - datum.tell()} bytes follow the alert; it is damaged, or not of schema "
                f"{schema_id}",
                "undecodable",
            )
        return packet

    def _of_container(self, source: BinaryIO) -> Iterator[Packet]:
        begin = source.tell()
        header: Any = fastavro.schemaless_reader(source, _HEADER, None)
        layout = self._layout(header["meta"]["avro.schema"])
        source.seek(begin)
        records: Any = fastavro.reader(source, layout.reader)
        yield from (Packet(layout, record) for record in records)

    def _layout(self, schema: bytes) -> Layout:
        if schema not in self._layouts:
            self._layouts[schema] = layout_of(json.loads(schema), history=self._history)
        return self._layouts[schema]


def _read(datum: io.BytesIO, layout: Layout) -> Packet:
    record: Any = fastavro.schemaless_reader(datum, layout.writer, layout.reader)
    return Packet(layout, record)
