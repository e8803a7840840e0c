"""A valid Avro datum cut into its pieces, so that a mutation can change one and leave the rest readable."""

import itertools
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

EVIL_NUMBERS = (0, 1, -1, 2, 63, 64, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**62, 2**63 - 1, -(2**63))
EVIL_DOUBLES = (float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.8e308, -1e300, 360.0, 1e17)
EVIL_TEXTS = (b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"r\x00", b"\xe2\x82")
OVERLONG = (b"\xff" * 9 + b"\x01", b"\xff" * 10 + b"\x01", b"\x80" * 9 + b"\x00", b"\x80" * 40, b"\xff" * 12)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a datum: ``number`` (a varint, of whatever meaning), ``double``, ``float``, ``text`` or ``byte``."""

    kind: str
    data: bytes


def varint(number: int) -> bytes:
    """Return a 64-bit integer as Avro writes it."""
    left = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    out = bytearray()
    while left >= 0x80:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def tokens(avro_type: Any, value: Any) -> Iterator[Token]:
    """Yield the pieces of a value, of the types that our schemas use."""
    match avro_type:
        case [_, inner]:
            yield Token("number", varint(int(value is not None)))
            if value is not None:
                yield from tokens(inner, value)
        case {"type": "record", "fields": fields}:
            for field in fields:
                yield from tokens(field["type"], value[field["name"]])
        case {"type": "array", "items": items}:
            yield from _block_of([tokens(items, item) for item in value])
        case {"type": "map", "values": values}:
            entries = [itertools.chain(tokens("string", key), tokens(values, item)) for key, item in value.items()]
            yield from _block_of(entries)
        case _:
            yield from _primitive(avro_type, value)


def _block_of(items: Sequence[Iterator[Token]]) -> Iterator[Token]:
    if items:
        yield Token("number", varint(len(items)))
    yield from itertools.chain.from_iterable(items)
    yield Token("number", varint(0))


def _primitive(avro_type: str, value: Any) -> Iterator[Token]:
    match avro_type:
        case "string":
            encoded = value.encode()
            yield Token("number", varint(len(encoded)))
            yield Token("text", encoded)
        case "double":
            yield Token("double", struct.pack("<d", value))
        case "float":
            yield Token("float", struct.pack("<f", value))
        case "boolean":
            yield Token("byte", bytes([value]))
        case "int" | "long":
            yield Token("number", varint(value))
        case _:
            raise AssertionError(avro_type)


def mutated(pieces: list[Token], rng: random.Random) -> bytes:
    """Return the datum with one to three of its pieces changed, and sometimes its bytes as well."""
    changed = [piece.data for piece in pieces]
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice((_other, _other, _other, _gone, _twice, _block))(pieces[at], changed[at], rng)
    datum = b"".join(changed)
    return bytes_mutated(datum, rng) if rng.random() < 0.4 else datum


def _other(piece: Token, data: bytes, rng: random.Random) -> bytes:
    match piece.kind:
        case "number":
            if rng.random() < 0.2:
                return rng.choice(OVERLONG)
            return varint(rng.choice(EVIL_NUMBERS) if rng.random() < 0.7 else rng.randint(-1000, 1000))
        case "double":
            return struct.pack("<d", rng.choice(EVIL_DOUBLES))
        case "float":
            return struct.pack("<f", rng.choice(EVIL_DOUBLES[:5]))
        case "text":
            # As long as it says, but no text; or longer.
            evil = rng.choice(EVIL_TEXTS)
            return (evil * (len(data) // len(evil) + 1))[: len(data)] if rng.random() < 0.7 else evil * 1000
        case _:
            return bytes([rng.randrange(256)])


def _gone(piece: Token, data: bytes, rng: random.Random) -> bytes:
    return b""


def _twice(piece: Token, data: bytes, rng: random.Random) -> bytes:
    return data * rng.choice((2, 2, 3, 500))


def _block(piece: Token, data: bytes, rng: random.Random) -> bytes:
    """Return a negative block count with a byte size, which may be followed or be a lie."""
    return varint(-rng.choice((1, 2, 3, 2**31, 2**63))) + varint(rng.choice((*EVIL_NUMBERS, 100)))


def bytes_mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with some of them flipped, inserted, repeated or cut off."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at:at] = rng.randbytes(rng.randint(1, 16))
            case 2:
                del out[at : at + rng.randint(1, 16)]
            case 3:
                del out[at:]
            case _:
                start = rng.randrange(len(out) + 1)
                out[at:at] = out[start : start + rng.randint(1, 64)]
    return bytes(out)
