import copy
import io

import fastavro
import pytest

from stream_assoc.stream.exceptions import DecodeError
from stream_assoc.stream.outputs import OutputEncoder
from stream_assoc.stream.schemas import METRICS, OBJECT, SCHEMA_ID, load_schema
from stream_assoc.stream.subscriber import decode_metrics, decode_objects, object_schema
from stream_assoc.stream.wire import KnownSchemas, header


def test_no_message_is_no_row():
    rows = decode_objects([])
    assert rows.num_rows == 0
    assert rows.schema.equals(object_schema())


def test_messages_of_different_versions_keep_their_order(object_rows, metrics):
    old = copy.deepcopy(load_schema(OBJECT))
    old["fields"].reverse()
    rows = object_rows(4)
    values = [output.value for output in OutputEncoder().encode(rows, metrics)[:-1]]
    for row in (1, 2):
        target = io.BytesIO()
        fastavro.schemaless_writer(target, fastavro.parse_schema(old), rows.slice(row, 1).to_pylist()[0])
        values[row] = header(99) + target.getvalue()
    decoded = decode_objects(values, KnownSchemas({SCHEMA_ID: load_schema(OBJECT), 99: old}))
    assert decoded.to_pylist() == rows.to_pylist()


def test_metrics_of_an_older_version_take_defaults(metrics):
    old = copy.deepcopy(load_schema(METRICS))
    old["fields"] = [field for field in old["fields"] if field["name"] != "medianRaOffset"]
    target = io.BytesIO()
    record = {field["name"]: getattr(metrics, field["name"]) for field in old["fields"]}
    fastavro.schemaless_writer(target, fastavro.parse_schema(old), record)
    decoded = decode_metrics(header(99) + target.getvalue(), KnownSchemas({99: old}))
    assert decoded.medianRaOffset is None
    assert decoded.numDiaSources == metrics.numDiaSources


@pytest.mark.parametrize("rest", [b"", b"\x02", b"\xff" * 30])
def test_metrics_that_are_none_are_refused(rest):
    with pytest.raises(DecodeError) as caught:
        decode_metrics(header(SCHEMA_ID) + rest)
    assert caught.value.reason == "undecodable"


def test_bytes_after_the_metrics_are_refused(object_rows, metrics):
    value = OutputEncoder().encode(object_rows(0), metrics)[-1].value
    with pytest.raises(DecodeError, match="1 bytes follow"):
        decode_metrics(value + b"\x00")


def test_metrics_of_an_incompatible_schema_are_refused(object_rows, metrics):
    value = OutputEncoder().encode(object_rows(0), metrics)[-1].value
    other = {"type": "record", "name": "Other", "fields": [{"name": "visit", "type": "string"}]}
    with pytest.raises(DecodeError) as caught:
        decode_metrics(value, KnownSchemas({SCHEMA_ID: other}))
    assert caught.value.reason == "incompatible_schema"
