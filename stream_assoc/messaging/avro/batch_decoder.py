"""Bytes to batches, and every reason why not."""

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import Batch, BatchId, ImageUris, Observation, SolarSystemObjects, measured_columns
from stream_assoc.core.model.batch_checks import check_solar_system_ids, check_source_ids, check_texts, check_visit
from stream_assoc.core.model.floats import without_infinities
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BANDS, FloatArray
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.codec import SealedReader, arrow_field, is_column
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.avro.resolution import items, resolve
from stream_assoc.messaging.avro.schemas import BATCH, load_schema, writer_schemas
from stream_assoc.messaging.avro.wire import WriterSchemas, split
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.settings import Settings

_ITEMS: Final = {
    "sources": ("sources", "too_many_sources"),
    "footprint_vertices": ("vertices in its footprint", "too_many_vertices"),
    "solar_system_objects": ("predicted solar-system objects", "too_many_solar_system_objects"),
}
"""What a limit counts, and the reason of those that exceed it."""


_TEXTS: Final = ("differenceImageUri", "scienceImageUri", "templateImageUri", "observationReason", "targetName")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The largest batch accepted; what is larger is refused before anything is computed of it.

    Attributes
    ----------
    sources, footprint_vertices, solar_system_objects : `int`
        Most items of each of its arrays.
    bytes : `int`
        Of its message.
    """

    sources: int = 100_000
    footprint_vertices: int = 1000
    solar_system_objects: int = 10_000
    bytes: int = 64 * 1024**2

    def check(self, name: str, batches: Sequence[BatchId], offsets: Sequence[int]) -> None:
        """Check how many items batches have in one of their arrays.

        Parameters
        ----------
        name : `str`
            Of the limit.
        batches : sequence of `BatchId`
        offsets : sequence of `int`
            Where each batch's items begin, and where the last ones end.

        Raises
        ------
        InvalidBatchError
            If a batch has more than the limit.
        """
        limit, (what, reason) = getattr(self, name), _ITEMS[name]
        for batch, (begin, end) in zip(batches, itertools.pairwise(offsets), strict=True):
            if end - begin > limit:
                raise InvalidBatchError(
                    f"visit {batch.visit} detector {batch.detector} has {end - begin} {what}, batch.max_{name} "
                    f"allows {limit}; split the batch or raise the setting",
                    reason,
                )


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
    limits : `BatchLimits`, optional
        The largest batch accepted.
    """

    def __init__(
        self,
        schemas: WriterSchemas | None = None,
        bands: Sequence[str] = BANDS,
        limits: BatchLimits | None = None,
    ) -> None:
        self._schemas = writer_schemas(BATCH, schemas)
        self._bands = tuple(bands)
        self._limits = limits or BatchLimits()
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
            With the reason ``too_many_sources``, ``too_many_vertices``,
            ``too_many_solar_system_objects``, ``unknown_band``,
            ``invalid_visit``, ``invalid_detector``, ``invalid_time``,
            ``invalid_exposure_time``, ``invalid_text``, ``invalid_id`` or ``duplicate_ids``.
        RegistryUnavailableError
            If the schema must be asked for and the registry does not answer.
        """
        (outcome,) = self.decode_all([value])
        if isinstance(outcome, PoisonError):
            raise outcome
        return outcome

    def decode_all(self, values: Sequence[bytes | None]) -> "list[Batch | PoisonError]":
        """Decode some messages together, and set aside those that are none.

        Each comes out as it would by itself. Together they cost less: a
        hundred columns take as long for one message as for a dozen.

        Parameters
        ----------
        values : `~collections.abc.Sequence` [`bytes` or `None`]
            Values of Kafka messages.

        Returns
        -------
        outcomes : `list` [`Batch` or `PoisonError`]
            One for each, in order; the errors are those that `decode` raises.

        Raises
        ------
        RegistryUnavailableError
            If a schema must be asked for and the registry does not answer.
        """
        outcomes: list[Batch | PoisonError | None] = [None] * len(values)
        payloads: dict[int, list[tuple[int, memoryview]]] = {}
        for place, value in enumerate(values):
            try:
                schema_id, payload = self._split(value)
                self._reader(schema_id)
            except PoisonError as error:
                outcomes[place] = error
            else:
                payloads.setdefault(schema_id, []).append((place, payload))
        for schema_id, written in payloads.items():
            decoded = self._decode_of_one_schema(schema_id, [payload for _, payload in written])
            for (place, _), outcome in zip(written, decoded, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _split(self, value: bytes | None) -> tuple[int, memoryview]:
        if value is not None and len(value) > self._limits.bytes:
            raise DecodeError(
                f"the message has {len(value)} bytes, batch.max_bytes and kafka.max_message_bytes allow "
                f"{self._limits.bytes}; split the batch or raise the settings",
                "too_large",
            )
        return split(value)

    def _decode_of_one_schema(
        self, schema_id: int, payloads: Sequence[memoryview]
    ) -> "Sequence[Batch | PoisonError]":
        try:
            return self._decode_together(schema_id, payloads)
        except PoisonError as error:
            # One of them spoils what is done together. By itself it spoils nothing.
            if len(payloads) == 1:
                return [error]
            return [self._decode_of_one_schema(schema_id, [payload])[0] for payload in payloads]

    def _decode_together(self, schema_id: int, payloads: Sequence[memoryview]) -> list[Batch]:
        written = self._reader(schema_id).read(payloads)
        headers = self._read_headers(written)
        ids = [_batch_id(header) for header in headers]
        footprints = self._read_footprints(written, ids)
        sources = self._read_sources(written, ids)
        moving = self._read_moving(written, ids)
        return [
            Batch(
                id=ids[row],
                band=header["band"],
                midpointMjdTai=header["midpointMjdTai"],
                exposureTime=_none_for_nan(header["exposureTime"]),
                footprint=footprints[row],
                diaSources=sources[row],
                digest=hashlib.sha256(payloads[row]).digest(),
                solar_system_objects=moving[row],
                images=ImageUris(header["differenceImageUri"], header["scienceImageUri"], header["templateImageUri"]),
                observation=Observation(header["observationReason"], header["targetName"]),
            )
            for row, header in enumerate(headers)
        ]

    def _reader(self, schema_id: int) -> SealedReader:
        if schema_id not in self._readers:
            self._readers[schema_id] = SealedReader(self._schemas.writer_schema(schema_id))
        return self._readers[schema_id]

    def _read_headers(self, written: pa.RecordBatch) -> list[dict[str, Any]]:
        columns = dict(zip(written.schema.names, written.columns, strict=True))
        headers: list[dict[str, Any]] = resolve(
            columns, written.num_rows, self._header, self._header_schema
        ).to_pylist()
        for header in headers:
            check_visit(
                _batch_id(header), header["band"], header["midpointMjdTai"], header["exposureTime"], self._bands
            )
            check_texts(_batch_id(header), {name: header[name] for name in _TEXTS})
        return headers

    def _read_footprints(self, written: pa.RecordBatch, batches: Sequence[BatchId]) -> list[FloatArray]:
        vertices, offsets = self._table(written, self._footprint)
        self._limits.check("footprint_vertices", batches, offsets)
        corners = np.column_stack([vertices.column("ra").to_numpy(), vertices.column("dec").to_numpy()])
        return [corners[begin:end] for begin, end in itertools.pairwise(offsets)]

    def _read_moving(self, written: pa.RecordBatch, batches: Sequence[BatchId]) -> list[SolarSystemObjects]:
        moving, offsets = self._table(written, self._moving)
        self._limits.check("solar_system_objects", batches, offsets)
        columns = [moving.column(name).to_numpy() for name in ("ssObjectId", "ra", "dec")]
        return [
            SolarSystemObjects(*(column[begin:end] for column in columns))
            for begin, end in itertools.pairwise(offsets)
        ]

    def _table(self, written: pa.RecordBatch, field: dict[str, Any]) -> tuple[pa.RecordBatch, list[int]]:
        columns, offsets = items(written, field)
        rows = resolve(columns, offsets[-1], field["type"]["items"]["fields"], self._item_schemas[field["name"]])
        return rows, offsets

    def _read_sources(self, written: pa.RecordBatch, batches: Sequence[BatchId]) -> list[pa.RecordBatch]:
        columns, offsets = items(written, self._sources)
        self._limits.check("sources", batches, offsets)
        sources = resolve(columns, offsets[-1], self._sources["type"]["items"]["fields"], self._source_schema)
        sources = without_infinities(sources)
        ids = sources.column("diaSourceId").to_numpy()
        solar = pc.fill_null(sources.column("ssObjectId"), 0).to_numpy()
        for batch, (begin, end) in zip(batches, itertools.pairwise(offsets), strict=True):
            check_source_ids(batch, ids[begin:end])
            check_solar_system_ids(batch, solar[begin:end])
        return [sources.slice(begin, end - begin) for begin, end in itertools.pairwise(offsets)]


def _batch_id(header: dict[str, Any]) -> BatchId:
    return BatchId(header["visit"], header["detector"])


def decoder_of(settings: Settings) -> BatchDecoder:
    """Return the configured decoder."""
    batch = settings.batch
    limits = BatchLimits(
        sources=batch.max_sources,
        footprint_vertices=batch.max_footprint_vertices,
        solar_system_objects=batch.max_solar_system_objects,
        bytes=min(batch.max_bytes, settings.kafka.max_message_bytes),
    )
    return BatchDecoder(registry_of(settings.kafka), batch.bands, limits)


def source_schema() -> pa.Schema:
    """Return the Arrow schema of a batch's sources: the measured columns in Rubin's types."""
    table = apdb_table("DiaSource")
    return pa.schema([table.column(name).arrow_field() for name in measured_columns()])


def _none_for_nan(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else seconds
