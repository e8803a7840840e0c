import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.exceptions import StreamAssocError
from stream_assoc.messaging.avro.wire import (
    OWN_IDS,
    KnownSchemas,
    TopicSchemas,
    WriterSchemas,
    header,
    own_schema_id,
    rubin_schema_id,
    split,
)
from stream_assoc.messaging.exceptions import DecodeError, RegistryUnavailableError


@given(st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_what_is_framed_can_be_split(schema_id, payload) -> None:
    found, rest = split(header(schema_id) + payload)
    assert (found, bytes(rest)) == (schema_id, payload)


def test_the_header_is_confluents() -> None:
    assert header(0x01020304) == b"\x00\x01\x02\x03\x04"


def test_ids_of_alert_packets_follow_rubins_convention() -> None:
    assert rubin_schema_id(7, 4) == 704
    assert rubin_schema_id(11, 1) == 1101


def test_our_own_ids_say_the_schema_and_the_version() -> None:
    assert own_schema_id(1, 1, 2) == 1_001_000_102
    assert own_schema_id(12, 3, 14) == 1_012_000_314


@pytest.mark.parametrize("value", [None, b""])
def test_no_value_is_empty(value: bytes | None) -> None:
    with pytest.raises(DecodeError, match="tombstone") as caught:
        split(value)
    assert caught.value.reason == "empty"


@pytest.mark.parametrize("value", [b"\x00\x00\x00", b'{"visit": 1}', b"Obj\x01abc"])
def test_another_format_is_undecodable(value: bytes) -> None:
    with pytest.raises(DecodeError, match="Confluent wire format") as caught:
        split(value)
    assert caught.value.reason == "undecodable"


def test_an_unknown_id_names_the_known_ones() -> None:
    schemas = KnownSchemas({100: {"type": "record"}, 101: {"type": "record"}})
    assert schemas.writer_schema(101) == {"type": "record"}
    with pytest.raises(DecodeError, match=r"102 .*known: 100, 101") as caught:
        schemas.writer_schema(102)
    assert caught.value.reason == "unknown_schema"


OURS, EARLIER, OTHER = ({"type": "record", "name": name} for name in ("Ours", "Earlier", "Other"))


class Unasked:
    def writer_schema(self, schema_id: int) -> dict[str, object]:
        raise AssertionError(f"asked for {schema_id}")


def topic_schemas(registry: WriterSchemas) -> TopicSchemas:
    return TopicSchemas(KnownSchemas({OWN_IDS + 1: OURS, 100: EARLIER}), registry)


def test_a_registry_is_not_asked_for_an_id_of_our_own() -> None:
    assert topic_schemas(Unasked()).writer_schema(OWN_IDS + 1) == OURS


def test_a_registry_is_asked_for_all_others() -> None:
    registry = KnownSchemas({7: OTHER, 100: OTHER, OWN_IDS + 2: OTHER})
    assert [topic_schemas(registry).writer_schema(one) for one in (7, 100, OWN_IDS + 2)] == [OTHER] * 3


def test_an_id_of_the_first_releases_is_known_where_the_registry_has_none() -> None:
    schemas = topic_schemas(KnownSchemas({7: OTHER}))
    assert schemas.writer_schema(100) == EARLIER
    with pytest.raises(DecodeError, match="schema id 101") as caught:
        schemas.writer_schema(101)
    assert caught.value.reason == "unknown_schema"


@pytest.mark.parametrize("error", [DecodeError("no record", "incompatible_schema"), RegistryUnavailableError("away")])
def test_no_other_trouble_of_a_registry_is_passed_over(error: StreamAssocError) -> None:
    class Troubled:
        def writer_schema(self, schema_id: int) -> dict[str, object]:
            raise error

    with pytest.raises(type(error)) as caught:
        topic_schemas(Troubled()).writer_schema(100)
    assert caught.value is error
