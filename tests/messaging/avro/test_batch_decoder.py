import copy
import hashlib
import io
import re
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import Batch, BatchId, ImageUris, SolarSystemObjects
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder, BatchLimits, source_schema
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.schemas import BATCH, BATCH_SCHEMA_ID, known_schemas, load_schema, schema_id
from stream_assoc.messaging.avro.wire import HEADER_BYTES, KnownSchemas, header, rubin_schema_id
from stream_assoc.messaging.exceptions import DecodeError

ENCODER = BatchEncoder()
SOURCE = {"diaSourceId": 2**60 + 1, "ra": 10.1, "dec": -4.9, "x": 1.0, "y": 2.0}
MESSAGE = {
    "visit": 7,
    "detector": 5,
    "band": "r",
    "midpointMjdTai": 61366.25,
    "footprint": [{"ra": 10.0, "dec": -5.0}, {"ra": 10.3, "dec": -5.0}, {"ra": 10.3, "dec": -4.7}],
    "diaSources": [SOURCE],
}


def written(record, schema=None, schema_id=BATCH_SCHEMA_ID):
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(schema or load_schema(BATCH)), record)
    return header(schema_id) + target.getvalue()


def source_fields(schema):
    return next(field for field in schema["fields"] if field["name"] == "diaSources")["type"]["items"]["fields"]


def writer(change):
    schema = copy.deepcopy(load_schema(BATCH))
    change(schema)
    return schema


def reason(value, decoder=None):
    with pytest.raises((DecodeError, InvalidBatchError)) as caught:
        (decoder or BatchDecoder()).decode(value)
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("n_sources", [0, 1, 250])
def test_a_batch_survives_the_journey(make_batch: Callable[..., Batch], n_sources: int) -> None:
    batch = make_batch(n_sources)
    value = ENCODER.encode(batch)
    decoded = BatchDecoder().decode(value)
    assert (decoded.id, decoded.band, decoded.midpointMjdTai) == (batch.id, batch.band, batch.midpointMjdTai)
    assert (decoded.exposureTime, decoded.images) == (batch.exposureTime, batch.images)
    np.testing.assert_array_equal(decoded.footprint, batch.footprint)
    np.testing.assert_array_equal(decoded.solar_system_objects.ssObjectId, batch.solar_system_objects.ssObjectId)
    assert decoded.diaSources.equals(batch.diaSources)
    assert decoded.diaSources.schema.equals(source_schema(), check_metadata=True)
    assert decoded.digest == hashlib.sha256(value[HEADER_BYTES:]).digest()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_sources=st.integers(0, 20))
def test_it_reads_what_fastavro_reads(make_batch: Callable[..., Batch], seed, n_sources) -> None:
    value = ENCODER.encode(make_batch(n_sources, seed))
    oracle = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), fastavro.parse_schema(load_schema(BATCH)))
    assert isinstance(oracle, dict)
    assert BatchDecoder().decode(value).diaSources.to_pylist() == oracle["diaSources"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_sources=st.integers(0, 20))
def test_it_writes_what_fastavro_writes(make_batch: Callable[..., Batch], seed, n_sources) -> None:
    batch = make_batch(n_sources, seed)
    record = {
        "visit": batch.id.visit,
        "detector": batch.id.detector,
        "band": batch.band,
        "midpointMjdTai": batch.midpointMjdTai,
        "exposureTime": batch.exposureTime,
        "footprint": [{"ra": ra, "dec": dec} for ra, dec in batch.footprint.tolist()],
        "differenceImageUri": batch.images.difference,
        "scienceImageUri": batch.images.science,
        "solarSystemObjects": [{"ssObjectId": 2**60 + 7, "ra": 10.1, "dec": -4.9}],
        "diaSources": batch.diaSources.to_pylist(),
    }
    assert ENCODER.encode(batch) == written(record)


def test_what_a_producer_leaves_out_is_null_or_its_default() -> None:
    batch = BatchDecoder().decode(written(MESSAGE))
    (source,) = batch.diaSources.to_pylist()
    given = {**SOURCE, "psfNdata": 0, "trailNdata": 0, "dipoleNdata": 0, "bboxSize": 0}
    assert source == {name: given.get(name) for name in source_schema().names}
    assert batch.exposureTime is None
    assert batch.images == ImageUris()
    assert len(batch.solar_system_objects) == len(SolarSystemObjects.none())


def test_positions_that_are_no_positions_do_not_condemn_the_batch() -> None:
    sources = [{**SOURCE, "diaSourceId": 1, "ra": float("nan")}, {**SOURCE, "diaSourceId": 2, "dec": 95.0}]
    assert len(BatchDecoder().decode(written({**MESSAGE, "diaSources": sources}))) == 2


def test_an_exposure_time_that_is_no_number_is_missing() -> None:
    assert BatchDecoder().decode(written({**MESSAGE, "exposureTime": float("nan")})).exposureTime is None


class TestRefusals:
    @pytest.mark.parametrize("value", [None, b""])
    def test_empty(self, value: bytes | None) -> None:
        assert reason(value) == "empty"

    @pytest.mark.parametrize(
        "value", [b"\x00\x00\x00\x00\x64", b"not avro at all", header(BATCH_SCHEMA_ID) + b"\xff" * 40]
    )
    def test_undecodable(self, value) -> None:
        assert reason(value) == "undecodable"

    def test_truncated_or_with_bytes_to_spare(self, make_batch: Callable[..., Batch]) -> None:
        value = ENCODER.encode(make_batch())
        assert reason(value[:-1]) == "undecodable"
        assert reason(value + b"\x00") == "undecodable"

    def test_unknown_schema(self) -> None:
        assert reason(written(MESSAGE, schema_id=199)) == "unknown_schema"

    def test_too_large_before_anything_is_decoded(self) -> None:
        assert reason(b"x" * 2000, BatchDecoder(limits=BatchLimits(bytes=1999))) == "too_large"

    def test_too_many_sources(self, make_batch: Callable[..., Batch]) -> None:
        value = ENCODER.encode(make_batch(3))
        assert len(BatchDecoder(limits=BatchLimits(sources=3)).decode(value)) == 3
        assert reason(value, BatchDecoder(limits=BatchLimits(sources=2))) == "too_many_sources"

    @pytest.mark.parametrize(
        ("field", "item", "limits", "expected"),
        [
            ("footprint", {"ra": 150.0, "dec": 2.0}, BatchLimits(footprint_vertices=4), "too_many_vertices"),
            (
                "solarSystemObjects",
                {"ssObjectId": 1, "ra": 150.0, "dec": 2.0},
                BatchLimits(solar_system_objects=4),
                "too_many_solar_system_objects",
            ),
        ],
    )
    def test_too_many_items_of_any_array(
        self, field: str, item: dict[str, object], limits: BatchLimits, expected: str
    ) -> None:
        decoder = BatchDecoder(limits=limits)
        assert decoder.decode(written({**MESSAGE, field: [item] * 4}))
        assert reason(written({**MESSAGE, field: [item] * 5}), decoder) == expected

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"band": "w"}, "unknown_band"),
            ({"band": ""}, "unknown_band"),
            ({"visit": -1}, "invalid_visit"),
            ({"detector": -1}, "invalid_detector"),
            ({"detector": 2**15}, "invalid_detector"),
            ({"midpointMjdTai": float("nan")}, "invalid_time"),
            ({"midpointMjdTai": float("inf")}, "invalid_time"),
            ({"midpointMjdTai": 2_461_002.5}, "invalid_time"),
            ({"midpointMjdTai": 1.76e9}, "invalid_time"),
            ({"exposureTime": -30.0}, "invalid_exposure_time"),
            ({"exposureTime": float("inf")}, "invalid_exposure_time"),
            ({"diaSources": [{**SOURCE, "diaSourceId": 0}]}, "invalid_id"),
            ({"diaSources": [SOURCE, SOURCE]}, "duplicate_ids"),
        ],
    )
    def test_content(self, change: dict[str, Any], expected: str) -> None:
        assert reason(written(MESSAGE | change)) == expected

    def test_a_band_that_is_not_configured(self) -> None:
        assert reason(written(MESSAGE), BatchDecoder(bands=("g", "i"))) == "unknown_band"

    def test_some_duplicates_are_named(self) -> None:
        sources = [{**SOURCE, "diaSourceId": number // 2 + 1} for number in range(40)]
        with pytest.raises(InvalidBatchError, match=r"20 diaSourceId .*: 1, 2, 3, 4, 5, \.\.\."):
            BatchDecoder().decode(written({**MESSAGE, "diaSources": sources}))

    def test_a_long_text_is_not_quoted_whole(self) -> None:
        with pytest.raises(InvalidBatchError) as caught:
            BatchDecoder().decode(written({**MESSAGE, "band": "r" * 10_000}))
        assert len(str(caught.value)) < 200


class TestOtherWriters:
    OLD = 99

    def decoder(self, schema):
        return BatchDecoder(KnownSchemas({self.OLD: schema, BATCH_SCHEMA_ID: load_schema(BATCH)}))

    def both(self, schema, record):
        """Decode with the decoder and with fastavro's resolution."""
        value = written(record, schema, self.OLD)
        oracle = fastavro.schemaless_reader(
            io.BytesIO(value[HEADER_BYTES:]), fastavro.parse_schema(schema), fastavro.parse_schema(load_schema(BATCH))
        )
        return self.decoder(schema).decode(value), oracle

    def test_fewer_columns(self) -> None:
        def change(schema) -> None:
            schema["fields"] = [field for field in schema["fields"] if field["name"] != "solarSystemObjects"]
            fields = source_fields(schema)
            fields[:] = [field for field in fields if field["name"] in {*SOURCE, "psfFlux"}]

        batch, oracle = self.both(writer(change), {**MESSAGE, "diaSources": [{**SOURCE, "psfFlux": 12.5}]})
        assert batch.diaSources.to_pylist() == oracle["diaSources"]
        assert len(batch.solar_system_objects) == len(oracle["solarSystemObjects"]) == 0

    def test_more_columns_in_another_order(self) -> None:
        def change(schema) -> None:
            fields = source_fields(schema)
            fields.reverse()
            fields.insert(3, {"name": "colour", "type": ["null", "string"], "default": None})
            schema["fields"].insert(0, {"name": "observer", "type": "string", "default": ""})

        record = {**MESSAGE, "observer": "someone", "diaSources": [{**SOURCE, "colour": "blue", "snr": 5.5}]}
        batch, oracle = self.both(writer(change), record)
        assert batch.id == BatchId(7, 5)
        assert batch.diaSources.to_pylist() == oracle["diaSources"]

    def test_narrower_numbers(self) -> None:
        def change(schema) -> None:
            for field in source_fields(schema):
                if field["name"] in {"ra", "dec"}:
                    field["type"] = "float"
                if field["name"] == "snr":
                    field["type"] = ["null", "int"]
            schema["fields"][0]["type"] = "int"

        batch, oracle = self.both(writer(change), {**MESSAGE, "diaSources": [{**SOURCE, "snr": 7}]})
        assert batch.diaSources.to_pylist() == oracle["diaSources"]
        assert batch.diaSources.schema.equals(source_schema())

    @pytest.mark.parametrize("name", ["diaSourceId", "ra", "x"])
    def test_a_required_column_is_missing(self, name: str) -> None:
        def change(schema) -> None:
            fields = source_fields(schema)
            fields[:] = [field for field in fields if field["name"] != name]

        schema = writer(change)
        with pytest.raises(DecodeError, match=f"no {name};") as caught:
            self.decoder(schema).decode(written(MESSAGE, schema, self.OLD))
        assert caught.value.reason == "missing_columns"

    @pytest.mark.parametrize("name", ["footprint", "diaSources", "visit"])
    def test_a_required_field_is_missing(self, name: str) -> None:
        schema = writer(lambda schema: schema.update(fields=[f for f in schema["fields"] if f["name"] != name]))
        assert reason(written(MESSAGE, schema, self.OLD), self.decoder(schema)) == "missing_columns"

    def test_a_required_value_is_null(self) -> None:
        def change(schema) -> None:
            next(field for field in source_fields(schema) if field["name"] == "ra")["type"] = ["null", "double"]

        schema = writer(change)
        value = written({**MESSAGE, "diaSources": [{**SOURCE, "ra": None}]}, schema, self.OLD)
        assert reason(value, self.decoder(schema)) == "missing_columns"

    @pytest.mark.parametrize(
        ("name", "avro_type", "entry"), [("ra", "string", "10"), ("snr", ["null", "double"], 5.0)]
    )
    def test_another_type(self, name: str, avro_type: list[str] | str, entry: float | str) -> None:
        def change(schema) -> None:
            next(field for field in source_fields(schema) if field["name"] == name)["type"] = avro_type

        schema = writer(change)
        value = written({**MESSAGE, "diaSources": [{**SOURCE, name: entry}]}, schema, self.OLD)
        assert reason(value, self.decoder(schema)) == "incompatible_schema"

    def test_another_kind_of_list(self) -> None:
        def change(schema) -> None:
            next(field for field in schema["fields"] if field["name"] == "footprint")["type"]["items"] = "double"

        schema = writer(change)
        value = written({**MESSAGE, "footprint": [1.0]}, schema, self.OLD)
        assert reason(value, self.decoder(schema)) == "incompatible_schema"

    def test_a_number_out_of_range(self) -> None:
        schema = writer(lambda schema: schema["fields"][1].update(type="long"))
        value = written({**MESSAGE, "detector": 2**40}, schema, self.OLD)
        assert reason(value, self.decoder(schema)) == "undecodable"


def test_sources_may_be_a_slice_of_a_larger_table(make_batch: Callable[..., Batch]) -> None:
    whole = make_batch(20)
    part = make_batch(diaSources=whole.diaSources.slice(5, 10))
    assert BatchDecoder().decode(ENCODER.encode(part)).diaSources.equals(part.diaSources)


def test_ids_are_exact(make_batch: Callable[..., Batch]) -> None:
    ids = pa.array([2**63 - 1, 2**53 + 1, 2**62 + 3])
    sources = make_batch(3).diaSources.set_column(0, source_schema().field(0), ids)
    decoded = BatchDecoder().decode(ENCODER.encode(make_batch(diaSources=sources)))
    assert decoded.diaSourceId.tolist() == ids.to_pylist()


def test_what_a_producer_says_a_source_is_comes_through(make_batch: Callable[..., Batch]) -> None:
    ids = pa.array([2**62 + 3, None, 0])
    schema = source_schema()
    place = schema.get_field_index("ssObjectId")
    sources = make_batch(3).diaSources.set_column(place, schema.field(place), ids)
    decoded = BatchDecoder().decode(ENCODER.encode(make_batch(diaSources=sources)))
    assert decoded.ssObjectId.tolist() == [2**62 + 3, 0, 0]


@pytest.mark.parametrize("number", [schema_id(BATCH, 0), rubin_schema_id(1, 0)])
def test_a_message_of_the_schema_before_says_nothing_of_it(number: int) -> None:
    older = known_schemas(BATCH).writer_schema(number)
    assert "ssObjectId" not in [field["name"] for field in source_fields(older)]
    assert BatchDecoder().decode(written(MESSAGE, older, number)).ssObjectId.tolist() == [0]


def test_an_ssobjectid_below_zero_is_refused() -> None:
    with pytest.raises(InvalidBatchError, match="a source has the ssObjectId -1; null or 0 mean"):
        BatchDecoder().decode(written({**MESSAGE, "diaSources": [{**SOURCE, "ssObjectId": -1}]}))


def test_infinity_is_null_where_null_may_be() -> None:
    """A producer's float32 made it of what it cannot hold."""
    source = {**SOURCE, "psfFlux": float("inf"), "psfFluxErr": float("-inf"), "ra": float("inf")}
    decoded = BatchDecoder().decode(written({**MESSAGE, "diaSources": [source]}))
    (row,) = decoded.diaSources.to_pylist()
    assert (row["psfFlux"], row["psfFluxErr"], row["ra"]) == (None, None, float("inf"))


def same(one, other) -> None:
    plain = ("id", "band", "midpointMjdTai", "exposureTime", "digest", "images")
    assert all(getattr(one, name) == getattr(other, name) for name in plain)
    assert one.footprint.tolist() == other.footprint.tolist()
    assert one.diaSources.equals(other.diaSources)
    assert one.solar_system_objects.ra.tolist() == other.solar_system_objects.ra.tolist()


def test_messages_decoded_together_are_those_decoded_alone(make_batch: Callable[..., Batch]) -> None:
    older = writer(lambda schema: source_fields(schema).pop())
    schemas = KnownSchemas({BATCH_SCHEMA_ID: load_schema(BATCH), 42: older})
    decoder = BatchDecoder(schemas)
    good = [ENCODER.encode(make_batch(n, id=BatchId(n + 1, 5))) for n in (3, 0, 250)]
    bad = [
        None,
        b"\x00",
        header(7) + b"unknown",
        good[2][:-1],
        written({**MESSAGE, "band": "q"}),
        written({**MESSAGE, "diaSources": [SOURCE, SOURCE]}),
    ]
    mixed = [good[0], bad[0], written(MESSAGE, older, 42), *bad[1:4], good[1], *bad[4:], good[2]]
    outcomes = decoder.decode_all(mixed)
    assert len(outcomes) == len(mixed)
    for value, outcome in zip(mixed, outcomes, strict=True):
        if value in bad:
            assert isinstance(outcome, PoisonError)
            with pytest.raises(type(outcome), match=re.escape(str(outcome))):
                decoder.decode(value)
        else:
            same(outcome, decoder.decode(value))
    together = decoder.decode_all(good)
    assert [isinstance(one, Batch) and one.id for one in together] == [decoder.decode(value).id for value in good]
    assert decoder.decode_all([]) == []
