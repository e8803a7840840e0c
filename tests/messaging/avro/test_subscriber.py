import copy
import dataclasses
import functools
import io
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.output_decoder import decode_metrics, decode_objects, object_schema
from stream_assoc.messaging.avro.output_encoder import AvroOutputEncoder
from stream_assoc.messaging.avro.schemas import (
    METRICS,
    METRICS_SCHEMA_ID,
    OBJECT,
    OBJECT_SCHEMA_ID,
    known_schemas,
    load_schema,
    schema_id,
)
from stream_assoc.messaging.avro.wire import HEADER_BYTES, KnownSchemas, header, rubin_schema_id, split
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.messaging.outbox_format import pack_outputs, unpack_outputs


def test_no_message_is_no_row() -> None:
    rows = decode_objects([])
    assert rows.num_rows == 0
    assert rows.schema.equals(object_schema())


def test_messages_of_different_versions_keep_their_order(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    old = copy.deepcopy(load_schema(OBJECT))
    old["fields"].reverse()
    rows = object_rows(4)
    values = [output.value for output in AvroOutputEncoder().encode(rows, metrics)[:-1]]
    for row in (1, 2):
        target = io.BytesIO()
        fastavro.schemaless_writer(target, fastavro.parse_schema(old), rows.slice(row, 1).to_pylist()[0])
        values[row] = header(99) + target.getvalue()
    decoded = decode_objects(values, KnownSchemas({OBJECT_SCHEMA_ID: load_schema(OBJECT), 99: old}))
    assert decoded.drop_columns(["statistics", "pluginStatistics"]).to_pylist() == rows.to_pylist()


def test_objects_of_the_version_before_are_known(
    object_rows: Callable[..., pa.Table], further_rows: Callable[..., pa.Table]
) -> None:
    """And a reader of that version reads those of this one."""
    rows = object_rows(2)
    before, now = (
        known_schemas(OBJECT).writer_schema(version) for version in (schema_id(OBJECT, 0), OBJECT_SCHEMA_ID)
    )
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(before), rows.to_pylist()[0])
    assert decode_objects([header(schema_id(OBJECT, 0)) + target.getvalue()]).to_pylist() == [
        rows.to_pylist()[0] | {"statistics": None, "pluginStatistics": None}
    ]
    _, second = AvroOutputEncoder().encode_objects(rows, further_rows(2))
    _, datum = split(second.value)
    read = fastavro.schemaless_reader(io.BytesIO(datum), fastavro.parse_schema(now), fastavro.parse_schema(before))
    assert read == rows.to_pylist()[1]


def test_a_later_version_may_have_other_statistics(
    object_rows: Callable[..., pa.Table], further_rows: Callable[..., pa.Table]
) -> None:
    later = copy.deepcopy(load_schema(OBJECT))
    _, record = later["fields"][-2]["type"]
    record["fields"] = [
        {"name": "r_later", "type": ["null", "double"], "default": None},
        *(field for field in record["fields"] if field["name"] != "flags"),
    ]
    rows = object_rows(2)
    written = [
        row | {"statistics": statistics}
        for row, statistics in zip(rows.to_pylist(), [{"r_later": 1.0, "r_psfFluxSkew": 2.0}, None], strict=True)
    ]
    values = []
    for one in written:
        target = io.BytesIO()
        fastavro.schemaless_writer(target, fastavro.parse_schema(later), one)
        values.append(header(199) + target.getvalue())
    first, second = decode_objects(values, KnownSchemas({199: later})).column("statistics").to_pylist()
    assert (first["r_psfFluxSkew"], first["flags"], second) == (2.0, None, None)
    assert "r_later" not in first


def test_metrics_of_an_older_version_take_defaults(metrics: AssociationMetrics) -> None:
    old = copy.deepcopy(load_schema(METRICS))
    old["fields"] = [field for field in old["fields"] if field["name"] != "medianRaOffset"]
    target = io.BytesIO()
    record = {field["name"]: getattr(metrics, field["name"]) for field in old["fields"]}
    fastavro.schemaless_writer(target, fastavro.parse_schema(old), record)
    decoded = decode_metrics(header(99) + target.getvalue(), KnownSchemas({99: old}))
    assert decoded.medianRaOffset is None
    assert decoded.numDiaSources == metrics.numDiaSources


@pytest.mark.parametrize(
    ("minor", "new"),
    [
        (0, ["revision", "numWithdrawnDiaSources", "numForcedSources", "forcedPhotometryError"]),
        (1, ["numForcedSources", "forcedPhotometryError"]),
        (2, ["numDroppedSsObjects"]),
    ],
)
@pytest.mark.parametrize("id_of", [functools.partial(schema_id, METRICS), functools.partial(rubin_schema_id, 1)])
def test_metrics_of_earlier_versions_are_known(
    metrics: AssociationMetrics, minor: int, new: list[str], id_of: Callable[[int], int]
) -> None:
    version = id_of(minor)
    written = known_schemas(METRICS).writer_schema(version)
    target = io.BytesIO()
    record = {field["name"]: getattr(metrics, field["name"]) for field in written["fields"]}
    assert not {*record} & {*new}
    fastavro.schemaless_writer(target, fastavro.parse_schema(written), record)
    assert decode_metrics(header(version) + target.getvalue()) == metrics


def test_readers_of_an_earlier_version_read_these_metrics(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    told = dataclasses.replace(metrics, numForcedSources=12, forcedPhotometryError="missing")
    value = AvroOutputEncoder().encode(object_rows(0), told)[-1].value
    found, payload = split(value)
    assert found == METRICS_SCHEMA_ID
    reader, writer = (
        known_schemas(METRICS).writer_schema(version) for version in (schema_id(METRICS, 0), METRICS_SCHEMA_ID)
    )
    record = fastavro.schemaless_reader(
        io.BytesIO(payload), fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    )
    assert record == {field["name"]: getattr(metrics, field["name"]) for field in reader["fields"]}
    assert decode_metrics(value) == told


def test_the_end_of_an_object_has_no_row(object_rows: Callable[..., pa.Table]) -> None:
    encoder = AvroOutputEncoder()
    (closed,) = encoder.encode_closed(np.array([2**60 + 1]), 61_000.25)
    assert (closed.key, closed.value) == (b"1152921504606846977", None)
    rows = object_rows(2)
    first, second = encoder.encode_objects(rows)
    decoded = decode_objects([first.value, closed.value, second.value])
    assert decoded.drop_columns(["statistics", "pluginStatistics"]).to_pylist() == rows.to_pylist()
    assert unpack_outputs(pack_outputs([first, closed])) == [first, closed]


@pytest.mark.parametrize("rest", [b"", b"\x02", b"\xff" * 30])
def test_metrics_that_are_none_are_refused(rest) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_metrics(header(METRICS_SCHEMA_ID) + rest)
    assert caught.value.reason == "undecodable"


def test_bytes_after_the_metrics_are_refused(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    value = AvroOutputEncoder().encode(object_rows(0), metrics)[-1].value
    assert value is not None
    with pytest.raises(DecodeError, match="1 bytes follow"):
        decode_metrics(value + b"\x00")


def test_metrics_of_an_incompatible_schema_are_refused(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    value = AvroOutputEncoder().encode(object_rows(0), metrics)[-1].value or b""
    other = {"type": "record", "name": "Other", "fields": [{"name": "visit", "type": "string"}]}
    with pytest.raises(DecodeError) as caught:
        decode_metrics(header(99) + value[HEADER_BYTES:], KnownSchemas({99: other}))
    assert caught.value.reason == "incompatible_schema"


@pytest.mark.parametrize("name", ["midpointMjdTai", "timeProcessedMjdTai"])
@pytest.mark.parametrize("time", [2_461_002.5, 1.76e9, float("nan")])
def test_metrics_of_an_impossible_time_are_refused(object_rows: Any, metrics: Any, name: str, time: float) -> None:
    value = AvroOutputEncoder().encode(object_rows(0), dataclasses.replace(metrics, **{name: time}))[-1].value
    with pytest.raises(DecodeError, match=f"{name} is .* MJD in TAI") as caught:
        decode_metrics(value)
    assert caught.value.reason == "invalid_time"


@pytest.mark.parametrize("version", [rubin_schema_id(1, 0), rubin_schema_id(1, 1)])
def test_subscribers_of_earlier_schemas_read_objects_with_columns_of_plugins(
    object_rows: Callable[..., pa.Table], further_rows: Callable[..., pa.Table], version: int
) -> None:
    """And this version reads theirs."""
    rows, further = object_rows(1), further_rows(1).append_column("r_mine", pa.array([1.5]))
    schemas = known_schemas(OBJECT)
    before, now = (fastavro.parse_schema(schemas.writer_schema(one)) for one in (version, OBJECT_SCHEMA_ID))
    (message,) = AvroOutputEncoder().encode_objects(rows, further)
    found, datum = split(message.value)
    assert found == OBJECT_SCHEMA_ID
    read = fastavro.schemaless_reader(io.BytesIO(datum), now, before)
    assert isinstance(read, dict)
    assert {name: read[name] for name in rows.column_names} == rows.to_pylist()[0]
    assert "pluginStatistics" not in read
    target = io.BytesIO()
    fastavro.schemaless_writer(target, before, read)
    (decoded,) = decode_objects([header(version) + target.getvalue()]).to_pylist()
    assert decoded["pluginStatistics"] is None
    assert {name: decoded[name] for name in rows.column_names} == rows.to_pylist()[0]
