"""Bytes to batches, and every reason why not."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.model.batch import Batch, BatchId, ImageUris, SolarSystemObjects, measured_columns
from stream_assoc.model.exceptions import InvalidBatchError
from stream_assoc.model.schema import apdb_table
from stream_assoc.model.types import BANDS, IntArray
from stream_assoc.stream.codec import SealedReader, arrow_field, is_column
from stream_assoc.stream.exceptions import DecodeError
from stream_assoc.stream.resolution import items, resolve
from stream_assoc.stream.schemas import BATCH, known_schemas, load_schema
from stream_assoc.stream.wire import WriterSchemas, split

MAX_SOURCES: Final = 100_000
MAX_BYTES: Final = 64 * 1024**2
_MAX_DETECTOR: Final = np.iinfo(np.int16).max
_MAX_VISIT: Final = np.iinfo(np.int64).max
_NAMED_IDS: Final = 5
_SHOWN_CHARACTERS: Final = 20


class BatchDecoder:
    """Decodes and validates messages of the batch topic.

    What it returns is a batch that processing can make sense of as a whole.
    Single sources may still be useless, such as one without a finite position;
    those are counted and left out downstream, they do not condemn the batch.

    Parameters
    ----------
    schemas : `WriterSchemas`, optional
        Where writer schemas are found; those of this version by default.
    bands : `tuple` [`str`, ...], optional
        The bands accepted.
    max_sources, max_bytes : `int`, optional
        The largest batch accepted: sources, and bytes of its message.
    """

    def __init__(
        self,
        schemas: WriterSchemas | None = None,
        bands: Sequence[str] = BANDS,
        max_sources: int = MAX_SOURCES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._schemas = schemas or known_schemas(BATCH)
        self._bands = tuple(bands)
        self._max_sources = max_sources
        self._max_bytes = max_bytes
        self._readers: dict[int, SealedReader] = {}
        fields = {field["name"]: field for field in load_schema(BATCH)["fields"]}
        self._header = [field for field in fields.values() if is_column(field["type"])]
        self._header_schema = pa.schema(map(arrow_field, self._header))
        self._footprint = fields["footprint"]
        self._moving = fields["solarSystemObjects"]
        self._sources = fields["diaSources"]
        self._item_schemas = {
            name: pa.schema(map(arrow_field, fields[name]["type"]["items"]["fields"]))
            for name in ("footprint", "solarSystemObjects")
        }
        self._source_schema = source_schema()

    def decode(self, value: bytes | None) -> Batch:
        """Decode one message.

        Parameters
        ----------
        value : `bytes` or `None`
            Value of the Kafka message, in the Confluent wire format.

        Returns
        -------
        batch : `Batch`
            Its digest is the SHA-256 of the payload, the value without the
            five bytes of header.

        Raises
        ------
        DecodeError
            With the reason ``empty``, ``too_large``, ``undecodable``,
            ``unknown_schema``, ``missing_columns`` or ``incompatible_schema``.
        InvalidBatchError
            With the reason ``too_many_sources``, ``unknown_band``,
            ``invalid_visit``, ``invalid_detector``, ``invalid_time``,
            ``invalid_id`` or ``duplicate_ids``.
        RegistryUnavailableError
            If the schema must be asked for and the registry does not answer.
        """
        if value is not None and len(value) > self._max_bytes:
            raise DecodeError(
                f"the message has {len(value)} bytes, batch.max_bytes allows {self._max_bytes}; "
                "split the batch or raise the setting",
                "too_large",
            )
        schema_id, payload = split(value)
        written = self._reader(schema_id).read([payload])
        header = self._read_header(written)
        return Batch(
            id=BatchId(header["visit"], header["detector"]),
            band=header["band"],
            midpointMjdTai=header["midpointMjdTai"],
            exposureTime=_finite_or_none(header["exposureTime"]),
            footprint=self._read_footprint(written),
            diaSources=self._read_sources(written),
            digest=hashlib.sha256(payload).digest(),
            solar_system_objects=self._read_moving(written),
            images=ImageUris(header["differenceImageUri"], header["scienceImageUri"]),
        )

    def _reader(self, schema_id: int) -> SealedReader:
        if schema_id not in self._readers:
            self._readers[schema_id] = SealedReader(self._schemas.writer_schema(schema_id))
        return self._readers[schema_id]

    def _read_header(self, written: pa.RecordBatch) -> dict[str, Any]:
        columns = dict(zip(written.schema.names, written.columns, strict=True))
        header: dict[str, Any] = resolve(columns, 1, self._header, self._header_schema).to_pylist()[0]
        if header["band"] not in self._bands:
            raise InvalidBatchError(
                f"band {header['band'][:_SHOWN_CHARACTERS]!r} is none of {', '.join(self._bands)}; "
                "correct the message, or add the band to batch.bands",
                "unknown_band",
            )
        _check_range("visit", header["visit"], _MAX_VISIT)
        _check_range("detector", header["detector"], _MAX_DETECTOR)
        if not math.isfinite(header["midpointMjdTai"]):
            raise InvalidBatchError(
                f"midpointMjdTai is {header['midpointMjdTai']}; it must be finite", "invalid_time"
            )
        return header

    def _read_footprint(self, written: pa.RecordBatch) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        vertices = self._table(written, self._footprint)
        return np.column_stack([vertices.column("ra").to_numpy(), vertices.column("dec").to_numpy()])

    def _read_moving(self, written: pa.RecordBatch) -> SolarSystemObjects:
        moving = self._table(written, self._moving)
        return SolarSystemObjects(*(moving.column(name).to_numpy() for name in ("ssObjectId", "ra", "dec")))

    def _table(self, written: pa.RecordBatch, field: dict[str, Any]) -> pa.RecordBatch:
        columns, n_rows = items(written, field)
        return resolve(columns, n_rows, field["type"]["items"]["fields"], self._item_schemas[field["name"]])

    def _read_sources(self, written: pa.RecordBatch) -> pa.RecordBatch:
        columns, n_sources = items(written, self._sources)
        if n_sources > self._max_sources:
            raise InvalidBatchError(
                f"the batch has {n_sources} sources, batch.max_sources allows {self._max_sources}; "
                "split the batch or raise the setting",
                "too_many_sources",
            )
        sources = resolve(columns, n_sources, self._sources["type"]["items"]["fields"], self._source_schema)
        _check_ids(sources.column("diaSourceId").to_numpy())
        return sources


def source_schema() -> pa.Schema:
    """Return the Arrow schema of a batch's sources: the measured columns in Rubin's types."""
    table = apdb_table("DiaSource")
    return pa.schema([table.column(name).arrow_field() for name in measured_columns()])


def _check_range(name: str, number: int, greatest: int) -> None:
    if not 0 <= number <= greatest:
        raise InvalidBatchError(f"{name} is {number}; it must be from 0 to {greatest}", f"invalid_{name}")


def _check_ids(ids: IntArray) -> None:
    if len(ids) == 0:
        return
    ordered = np.sort(ids)
    if ordered[0] <= 0:
        raise InvalidBatchError(
            f"diaSourceId {ordered[0]} is not positive; zero and below mean that there is none", "invalid_id"
        )
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(repeated):
        shown = ", ".join(map(str, repeated[:_NAMED_IDS].tolist()))
        more = ", ..." if len(repeated) > _NAMED_IDS else ""
        raise InvalidBatchError(
            f"{len(repeated)} diaSourceId occur more than once in the batch: {shown}{more}; send each source once",
            "duplicate_ids",
        )


def _finite_or_none(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None
