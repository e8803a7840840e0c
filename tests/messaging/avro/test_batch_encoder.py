from collections.abc import Callable

import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.schemas import BATCH_SCHEMA_ID
from stream_assoc.messaging.avro.wire import header
from stream_assoc.messaging.exceptions import EncodeError


def test_the_schema_id_is_the_one_given(make_batch: Callable[..., Batch]) -> None:
    assert BatchEncoder().encode(make_batch())[:5] == header(BATCH_SCHEMA_ID)
    assert BatchEncoder(schema_id=7).encode(make_batch())[:5] == b"\x00\x00\x00\x00\x07"


def test_the_digest_plays_no_part(make_batch: Callable[..., Batch]) -> None:
    assert BatchEncoder().encode(make_batch(digest=b"one")) == BatchEncoder().encode(make_batch(digest=b"two"))


def test_a_missing_column_is_named(make_batch: Callable[..., Batch]) -> None:
    sources = make_batch().diaSources.drop_columns(["psfFlux"])
    with pytest.raises(EncodeError, match="no psfFlux"):
        BatchEncoder().encode(make_batch(diaSources=sources))


def test_a_null_where_a_value_is_required_is_an_error(make_batch: Callable[..., Batch]) -> None:
    sources = make_batch(2).diaSources
    index = sources.schema.get_field_index("ra")
    sources = sources.set_column(index, pa.field("ra", pa.float64()), pa.array([1.0, None]))
    with pytest.raises(EncodeError, match="ra is null"):
        BatchEncoder().encode(make_batch(diaSources=sources))


def test_a_column_of_another_type_is_an_error(make_batch: Callable[..., Batch]) -> None:
    sources = make_batch(2).diaSources
    index = sources.schema.get_field_index("psfFlux")
    sources = sources.set_column(index, pa.field("psfFlux", pa.float64()), pa.array([1.0, 2.0]))
    with pytest.raises(EncodeError, match="diaSources cannot be written"):
        BatchEncoder().encode(make_batch(diaSources=sources))
