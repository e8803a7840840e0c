import io
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.further_statistics import further_statistics
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.output_decoder import decode_metrics, decode_objects
from stream_assoc.messaging.avro.output_encoder import AvroOutputEncoder, OutputSchemaIds, OutputTopics
from stream_assoc.messaging.avro.schemas import METRICS, OBJECT, load_schema
from stream_assoc.messaging.exceptions import EncodeError, OutboxFormatError
from stream_assoc.messaging.outbox_format import pack_outputs, unpack_outputs

messages = st.lists(
    st.builds(
        OutputMessage,
        topic=st.sampled_from(["dia-objects", "association-metrics"]),
        key=st.none() | st.binary(max_size=20),
        value=st.none() | st.binary(max_size=200),
        headers=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple),
    ),
    max_size=8,
)


def read(value, name):
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(load_schema(name)))


def test_objects_come_first_and_metrics_last(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    outputs = AvroOutputEncoder(OutputTopics("objects", "metrics")).encode(object_rows(4), metrics)
    assert [output.topic for output in outputs] == ["objects"] * 4 + ["metrics"]


def test_an_object_is_keyed_by_its_id_as_decimal_text(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    rows = object_rows(4)
    keys = [output.key for output in AvroOutputEncoder().encode(rows, metrics)[:-1]]
    assert keys == [str(number).encode() for number in rows.column("diaObjectId").to_pylist()]


def test_metrics_are_keyed_by_visit_and_detector(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    assert AvroOutputEncoder().encode(object_rows(0), metrics)[-1].key == b"2026112200123.94"


def test_fastavro_reads_what_is_published(object_rows: Callable[..., pa.Table], metrics: AssociationMetrics) -> None:
    rows = object_rows(6)
    *objects, record = AvroOutputEncoder().encode(rows, metrics)
    assert [read(output.value, OBJECT) for output in objects] == [
        row | {"statistics": None, "pluginStatistics": None} for row in rows.to_pylist()
    ]
    assert read(record.value, METRICS)["stageSeconds"] == metrics.stageSeconds


def test_a_subscriber_reads_what_is_published(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    rows = object_rows(6)
    *objects, record = AvroOutputEncoder().encode(rows, metrics)
    published = pa.Table.from_batches([decode_objects([output.value for output in objects])])
    assert published.drop_columns(["statistics", "pluginStatistics"]).equals(rows)
    assert published.column("statistics").null_count == 6
    assert decode_metrics(record.value) == metrics


def test_further_statistics_are_published_as_a_record(
    object_rows: Callable[..., pa.Table], further_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    further = further_rows(6)
    *objects, _ = AvroOutputEncoder().encode(object_rows(6), metrics, further)
    by_fastavro = [read(output.value, OBJECT)["statistics"] for output in objects]
    by_subscriber = decode_objects([output.value for output in objects]).column("statistics").to_pylist()
    assert by_fastavro == by_subscriber
    computed = {name: [one[name] for one in by_subscriber] for name in further.column_names}
    assert computed == further.to_pydict()
    others = [value for one in by_subscriber for name, value in one.items() if name not in computed]
    assert set(others) == {None}
    assert len(others) == 6 * (len(further_statistics()) - 3)


def test_nan_is_published_as_null_where_null_is_allowed(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    rows = object_rows(2)
    index = rows.schema.get_field_index("r_psfFluxMean")
    rows = rows.set_column(index, rows.schema.field(index), pa.array(np.array([np.nan, 3.5], np.float32)))
    first, second, _ = AvroOutputEncoder().encode(rows, metrics)
    assert read(first.value, OBJECT)["r_psfFluxMean"] is None
    assert read(second.value, OBJECT)["r_psfFluxMean"] == 3.5


def test_rows_in_pieces_and_columns_in_any_order_give_the_same_messages(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    rows = object_rows(7)
    pieces = pa.concat_tables([rows.slice(0, 3), rows.slice(3)]).select(rows.schema.names[::-1])
    assert AvroOutputEncoder().encode(pieces, metrics) == AvroOutputEncoder().encode(rows, metrics)


def test_schema_ids_of_a_registry_are_written(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    outputs = AvroOutputEncoder(schema_ids=OutputSchemaIds(objects=11, metrics=12)).encode(object_rows(1), metrics)
    assert [(output.value or b"")[:5] for output in outputs] == [b"\x00\x00\x00\x00\x0b", b"\x00\x00\x00\x00\x0c"]


def test_a_missing_column_is_an_error(object_rows: Callable[..., pa.Table], metrics: AssociationMetrics) -> None:
    with pytest.raises(EncodeError, match="no pixelId"):
        AvroOutputEncoder().encode(object_rows(1).drop_columns(["pixelId"]), metrics)


def test_metrics_of_another_type_are_an_error(
    object_rows: Callable[..., pa.Table], metrics: AssociationMetrics
) -> None:
    with pytest.raises(EncodeError, match="AssociationMetrics"):
        AvroOutputEncoder().encode(object_rows(0), replace(metrics, visit=cast("int", None)))


@given(messages)
def test_what_is_packed_can_be_unpacked(outputs) -> None:
    packed = pack_outputs(outputs)
    assert unpack_outputs(packed) == outputs
    assert pack_outputs(unpack_outputs(packed)) == packed


@given(st.data())
def test_damage_is_noticed(data) -> None:
    packed = bytearray(pack_outputs([OutputMessage("dia-objects", b"1", b"value")]))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(OutboxFormatError):
        unpack_outputs(bytes(packed))


@pytest.mark.parametrize("length", [0, 7, 8, 60])
def test_a_cut_entry_is_noticed(length: int) -> None:
    packed = pack_outputs([OutputMessage("dia-objects", b"1", b"value")])
    with pytest.raises(OutboxFormatError):
        unpack_outputs(packed[:length])


def test_outputs_shrink(object_rows: Callable[..., pa.Table], metrics: AssociationMetrics) -> None:
    outputs = AvroOutputEncoder().encode(object_rows(200), metrics)
    assert len(pack_outputs(outputs)) < sum(len(output.value or b"") for output in outputs)


def with_plugin_columns(n_rows: int) -> pa.Table:
    values = [1.5, None, float("inf"), -2.0]
    return pa.table(
        {
            "diaObjectId": pa.array(range(n_rows), pa.int64()),
            "validityStartMjdTai": pa.array([60000.5] * n_rows, pa.float64()),
            "flags": pa.array([1.0] * n_rows, pa.float64()),
            "r_mine": pa.array([values[row % 4] for row in range(n_rows)], pa.float64()),
            "whole": pa.array([float(row) for row in range(n_rows)], pa.float64()),
        }
    )


@pytest.mark.parametrize("n_rows", [0, 1, 6])
def test_columns_of_other_packages_are_published_as_a_map(object_rows: Callable[..., pa.Table], n_rows: int) -> None:
    further = with_plugin_columns(n_rows)
    objects = AvroOutputEncoder().encode_objects(object_rows(n_rows), further)
    expected = further.select(["r_mine", "whole"]).to_pylist()
    assert [read(output.value, OBJECT)["pluginStatistics"] for output in objects] == expected
    decoded = decode_objects([output.value for output in objects])
    assert [dict(one) for one in decoded.column("pluginStatistics").to_pylist()] == expected
    assert [one["flags"] for one in decoded.column("statistics").to_pylist()] == [1.0] * n_rows


def test_without_such_columns_the_map_is_null(object_rows: Callable[..., pa.Table]) -> None:
    further = with_plugin_columns(3).drop_columns(["r_mine", "whole"])
    objects = AvroOutputEncoder().encode_objects(object_rows(3), further)
    assert {read(output.value, OBJECT)["pluginStatistics"] for output in objects} == {None}
    assert decode_objects([output.value for output in objects]).column("pluginStatistics").null_count == 3
