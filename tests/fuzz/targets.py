"""What is fuzzed: for each parser of bytes from outside, how its inputs are made and what it may answer."""

import functools
import io
import json
import random
import struct
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.exceptions import FatalError, PoisonError, RetriableError
from stream_assoc.messaging.authority import Authority
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder, BatchLimits
from stream_assoc.messaging.avro.batch_header import batch_header
from stream_assoc.messaging.avro.dead_letters import RECORD_HEADER, dead_letter
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.avro.registry import SchemaRegistry
from stream_assoc.messaging.avro.schemas import (
    BATCH,
    BATCH_SCHEMA_ID,
    DEAD_LETTER,
    DEAD_LETTER_SCHEMA_ID,
    METRICS,
    METRICS_SCHEMA_ID,
    load_schema,
)
from stream_assoc.messaging.avro.wire import AvroSchema, header
from stream_assoc.messaging.exceptions import DecodeError
from stream_assoc.messaging.outbox_format import pack_outputs, unpack_outputs
from stream_assoc.stores.cache.packing import state_words
from stream_assoc.stores.cache.packing.authentication import BlobKey, code_of_words
from stream_assoc.stores.cache.packing.state_packing import pack_states, unpack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles, unpack_tiles
from stream_assoc.tools.dead_letters.filed import filed
from stream_assoc.tools.dead_letters.sending import released, returned
from tests.fuzz import geometry
from tests.fuzz.avro_tokens import bytes_mutated, mutated, tokens
from tests.fuzz.hostile_schemas import mutated_schema
from tests.stores.cache.builders import FIRST_TILE, KEYS, LAYOUT, states, tile

Rng = random.Random

SOURCE = {"x": 100.0, "y": 200.0, "isDipole": False}
MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under test.

    Attributes
    ----------
    make : callable
        Returns an input for a random generator.
    parse : callable
        Parses it and returns the name of the outcome; raises whatever must not be raised.
    share : `int`
        Of every hundred inputs.
    """

    make: Callable[[Rng], bytes]
    parse: Callable[[bytes], str]
    share: int


@functools.cache
def _record(name: str) -> AvroSchema:
    return load_schema(name)


def _filled(avro_type: Any, rng: Rng) -> Any:
    """Return a value of a type."""
    match avro_type:
        case [_, inner]:
            return _filled(inner, rng) if rng.random() < 0.3 else None
        case {"type": "record", "fields": fields}:
            times = dict.fromkeys(("midpointMjdTai", "timeProcessedMjdTai"), 61000.25)
            return {field["name"]: times.get(field["name"], _filled(field["type"], rng)) for field in fields}
        case {"type": "array", "items": items}:
            return [_filled(items, rng) for _ in range(rng.randint(0, 4))]
        case {"type": "map"}:
            return {"decode": 0.1}
    values = {
        "string": rng.choice(("r", "g", "s3://bucket/image.fits", "")),
        "boolean": rng.random() < 0.5,
        "float": float(rng.randint(0, 80)),
        "double": float(rng.randint(0, 80)),
    }
    return values.get(avro_type, rng.randint(1, 30_000))


@functools.cache
def _batch_pieces(seed: int) -> list[Any]:
    rng = Rng(seed)
    record = _filled(_record(BATCH), rng) | {"band": "r"}
    return list(tokens(_record(BATCH), record))


def _batch_datum(rng: Rng) -> bytes:
    pieces = _batch_pieces(rng.randrange(30))
    return mutated(pieces, rng)


def make_batch(rng: Rng) -> bytes:
    value = header(BATCH_SCHEMA_ID) + _batch_datum(rng)
    return bytes_mutated(value, rng) if rng.random() < 0.05 else value


@functools.cache
def _decoder() -> BatchDecoder:
    return BatchDecoder(limits=BatchLimits(sources=3, bytes=MAX_BYTES))


def parse_batch(value: bytes) -> str:
    try:
        batch = _decoder().decode(value)
    except (DecodeError, InvalidBatchError) as error:
        outcome = error.reason
    else:
        assert isinstance(batch, Batch)
        assert len(batch) <= 3
        assert batch.band in {"u", "g", "r", "i", "z", "y"}
        outcome = "decoded"
    try:
        json.dumps(batch_header(value), default=str)
    except DecodeError:
        assert outcome != "decoded"
    return outcome


def make_foreign_batch(rng: Rng) -> bytes:
    """Return a writer schema and a datum, one after the other."""
    schema = json.dumps(mutated_schema(_record(BATCH), rng)).encode()
    return struct.pack(">I", len(schema)) + schema + header(1) + _batch_datum(rng)


class _OneSchema:
    """A registry that knows one schema under every id."""

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema

    def writer_schema(self, schema_id: int) -> AvroSchema:
        return self._schema


def parse_foreign_batch(data: bytes) -> str:
    (length,) = struct.unpack_from(">I", data)
    schemas = _OneSchema(json.loads(data[4 : 4 + length]))
    value = data[4 + length :]
    try:
        BatchDecoder(schemas, limits=BatchLimits(bytes=MAX_BYTES)).decode(value)
    except (DecodeError, InvalidBatchError) as error:
        return error.reason
    return "decoded"


def make_registry_answer(rng: Rng) -> bytes:
    schema = (
        mutated_schema(_record(BATCH), rng) if rng.random() < 0.5 else rng.choice(("[" * 50_000, 7, None, [], "{"))
    )
    answer: Any = {"schema": schema if isinstance(schema, str) else json.dumps(schema), "id": 3}
    match rng.randrange(5):
        case 0:
            answer[rng.choice(("schema", "id", "schemaType", "references"))] = rng.choice(
                (None, 7, "AVRO", [], {}, [1])
            )
        case 1:
            answer = rng.choice(([], 7, None, "x", [answer]))
        case 2:
            return bytes_mutated(json.dumps(answer).encode(), rng)
        case 3:
            return rng.choice((b"[" * 100_000, b'{"schema":' * 20_000, b"", b"\xff", b"<html>"))
    return json.dumps(answer).encode()


def parse_registry_answer(answer: bytes) -> str:
    registry = SchemaRegistry("http://registry:8081")
    # The standard library's HTTP is not under test.
    with mock.patch.object(urllib.request, "urlopen", side_effect=lambda *_, **__: io.BytesIO(answer)):
        try:
            registry.register("topic-value", {})
            found = registry.writer_schema(3)
        except (PoisonError, RetriableError, FatalError) as error:
            return type(error).__name__
    assert isinstance(found, dict)
    return "found"


@functools.cache
def _letter() -> OutputMessage:
    message = InputMessage(InputPosition("dia-sources", 1, 17), 1_700_000_000_000, b"key", b"value", (("h", b"1"),))
    return dead_letter(message, DecodeError("it is no batch", "undecodable"), "dlq", time_ms=1_700_000_000_001)


@functools.cache
def _letter_pieces() -> list[Any]:
    record = {
        "reason": "quarantine",
        "message": "too many",
        "exception": "stream_assoc.Error",
        "topic": "dia-sources",
        "partition": 1,
        "offset": 17,
        "timestamp": 1,
        "time": 2,
    }
    return list(tokens(_record(DEAD_LETTER), record))


def make_letter(rng: Rng) -> bytes:
    value = header(DEAD_LETTER_SCHEMA_ID) + mutated(_letter_pieces(), rng)
    return bytes_mutated(value, rng) if rng.random() < 0.1 else value


def parse_letter(encoded: bytes) -> str:
    headers = tuple((name, encoded if name == RECORD_HEADER else content) for name, content in _letter().headers)
    message = InputMessage(InputPosition("dlq", 0, 3), -1, _letter().key, _letter().value, headers)
    try:
        letter = filed(message)
    except DecodeError as error:
        return error.reason
    is_held = letter.letter.record.reason == "quarantine"
    sent = released(letter, Authority(trusts_unsigned=True)) if is_held else returned(letter)
    assert sent.value == b"value"
    return "read"


@functools.cache
def _metrics_pieces() -> list[Any]:
    return list(tokens(_record(METRICS), _filled(_record(METRICS), Rng(1))))


def make_metrics(rng: Rng) -> bytes:
    return header(METRICS_SCHEMA_ID) + mutated(_metrics_pieces(), rng)


def parse_metrics(value: bytes) -> str:
    try:
        decode_metrics(value)
    except DecodeError as error:
        return error.reason
    return "decoded"


@functools.cache
def _packed() -> bytes:
    return pack_outputs(
        [OutputMessage("objects", b"1", b"x" * 300, (("h", b"v"),)), OutputMessage("metrics", None, b"")]
    )


def make_outbox(rng: Rng) -> bytes:
    spoiled = bytes_mutated(_packed(), rng)
    if rng.random() < 0.5:
        return spoiled
    # With its checksum made good, damage reaches the parser behind it.
    return spoiled[:4] + struct.pack(">I", zlib.crc32(spoiled[8:])) + spoiled[8:]


def parse_outbox(packed: bytes) -> str:
    try:
        messages = unpack_outputs(packed)
    except FatalError as error:
        return type(error).__name__
    assert all(isinstance(message.topic, str) for message in messages)
    return "unpacked"


def _with_good_code(blob: bytes, key: BlobKey) -> bytes:
    words = np.frombuffer(blob[: len(blob) // 8 * 8], np.uint64)
    return struct.pack("<Q", code_of_words(words, 1, len(words), key)) + blob[8:] if len(words) else blob


def make_tile(rng: Rng) -> bytes:
    spoiled = bytes_mutated(bytes(pack_tiles(tile(rng.randrange(4)), KEYS.tiles)[0]), rng)
    return spoiled if rng.random() < 0.5 else _with_good_code(spoiled, KEYS.tiles)


def parse_tile(blob: bytes) -> str:
    cached, n_unreadable = unpack_tiles([blob], np.array([FIRST_TILE]), KEYS.tiles)
    return "unreadable" if n_unreadable else f"{len(cached.objects)} objects"


@functools.cache
def _states() -> Any:
    return states(6, seed=3)


def make_state(rng: Rng) -> bytes:
    blob = bytes(rng.choice(pack_states(_states(), LAYOUT, KEYS.states)))
    at = 4 * rng.randrange(len(blob) // 4)
    spoiled = rng.choice(
        (
            lambda: bytes_mutated(blob, rng),
            # A length, a count or a band number among its words.
            lambda: blob[:at] + struct.pack("<I", rng.choice((0, 1, 5, 6, 7, 2**31, 2**32 - 1))) + blob[at + 4 :],
            lambda: blob[: 8 * rng.randrange(len(blob) // 8)],
        )
    )()
    return spoiled if rng.random() < 0.3 else _with_good_code(spoiled, KEYS.states)


def parse_state(blob: bytes) -> str:
    ids = np.array([_states().diaObjectId[0]] * 2)
    words = np.frombuffer(blob[: len(blob) // 8 * 8], "<i8")
    id_word, version_word = 3, state_words.VERSION
    if len(words) > max(id_word, version_word):
        ids = np.array([words[id_word], ids[0]])
        versions = words[[version_word, version_word]].view("<f8")
    else:
        versions = np.zeros(2)
    cached, n_unreadable = unpack_states([blob, None], LAYOUT, ids, versions, KEYS.states)
    assert n_unreadable in {0, 1}
    return "unreadable" if n_unreadable else f"{len(cached.states)} current"


TARGETS = {
    "batch": Target(make_batch, parse_batch, 46),
    "geometry": Target(geometry.make, geometry.parse, 10),
    "foreign_batch": Target(make_foreign_batch, parse_foreign_batch, 14),
    "registry": Target(make_registry_answer, parse_registry_answer, 5),
    "dead_letter": Target(make_letter, parse_letter, 5),
    "metrics": Target(make_metrics, parse_metrics, 5),
    "tile": Target(make_tile, parse_tile, 5),
    "state": Target(make_state, parse_state, 5),
    # The last one: what Arrow's allocator reserves of the address space for a false length, it may keep.
    "outbox": Target(make_outbox, parse_outbox, 5),
}
