import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.packing.authentication import CacheKeys, code_of_words
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles, unpack_tiles
from tests.stores.cache.bits import INT64, arrays, doubles, floats
from tests.stores.cache.builders import FIRST_TILE, KEYS, assert_same, tile, together


@st.composite
def any_tiles(draw):
    n_tiles = draw(st.integers(0, 5))
    indices = np.array(sorted(draw(st.sets(INT64, min_size=n_tiles, max_size=n_tiles))), np.int64)
    offsets = np.concatenate([[0], np.cumsum(arrays(draw, np.int64, n_tiles, st.integers(0, 4)))]).astype(np.int64)
    n = int(offsets[-1])
    positions = ObjectPositions(
        arrays(draw, np.int64, n, INT64),
        doubles(draw, n),
        doubles(draw, n),
        floats(draw, n),
        floats(draw, n),
        doubles(draw, n),
        arrays(draw, np.int32, n, st.integers(-(2**31), 2**31 - 1)),
    )
    return CachedTiles(TiledObjects(indices, offsets, positions), arrays(draw, np.int64, n_tiles, INT64))


def packed(tiles):
    return list(map(bytes, pack_tiles(tiles, KEYS.tiles)))


def is_unreadable(blob, index=FIRST_TILE):
    cached, n_unreadable = unpack_tiles([blob], np.array([index]), KEYS.tiles)
    assert n_unreadable == 1 - len(cached)
    return n_unreadable == 1


@given(any_tiles())
@settings(max_examples=60, deadline=None)
def test_tiles_come_back_bit_by_bit(tiles) -> None:
    blobs = packed(tiles)
    assert all(len(blob) % 8 == 0 for blob in blobs)
    cached, n_unreadable = unpack_tiles(blobs, tiles.objects.tiles, KEYS.tiles)
    assert n_unreadable == 0
    assert_same(cached, tiles)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_byte_is_noticed(data) -> None:
    (blob,) = map(bytearray, packed(tile(3)))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    assert is_unreadable(bytes(blob))


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_foreign_bytes_are_unreadable(foreign) -> None:
    assert is_unreadable(foreign)


def test_truncation_at_every_length_is_noticed() -> None:
    (blob,) = packed(tile(3))
    assert all(is_unreadable(blob[:n]) for n in range(len(blob)))


@pytest.mark.parametrize("n_objects", [0, 2, 4, 2**31, 2**32 - 1])
def test_an_impossible_number_of_objects_under_a_right_code_is_unreadable(n_objects: int) -> None:
    """A writer with another idea of the layout must not send a reader astray."""
    (blob,) = packed(tile(3))
    halves = np.frombuffer(bytearray(blob), np.uint32)
    halves[3] = n_objects
    words = halves.view(np.uint64)
    words[0] = code_of_words(words, 1, len(words), KEYS.tiles)
    assert is_unreadable(halves.tobytes())


def test_a_blob_of_another_tile_is_unreadable() -> None:
    (blob,) = packed(tile(3))
    assert not is_unreadable(blob)
    assert is_unreadable(blob, FIRST_TILE + 1)


def test_bad_and_absent_blobs_do_not_hide_their_neighbours() -> None:
    tiles = together(*(tile(k, FIRST_TILE + k, version=k) for k in range(5)))
    blobs = packed(tiles)
    blobs[1], blobs[3] = b"odd", None
    cached, n_unreadable = unpack_tiles(blobs, tiles.objects.tiles, KEYS.tiles)
    assert_same(cached, tiles.take(np.array([0, 2, 4])))
    assert n_unreadable == 1


def test_read_only_and_strided_columns_are_packed_alike() -> None:
    one = tile(4)
    held = one.objects.positions
    strided = ObjectPositions(*(np.repeat(getattr(held, name), 2)[::2] for name in held.__slots__))
    strided.ra.flags.writeable = False
    other = CachedTiles(TiledObjects(one.objects.tiles, one.objects.offsets, strided), one.versions)
    assert packed(other) == packed(one)


def test_a_blob_of_somebody_without_the_key_is_unreadable() -> None:
    stranger = CacheKeys.random()
    (forged,) = pack_tiles(tile(3), stranger.tiles)
    (of_another_kind,) = pack_tiles(tile(3), KEYS.states)
    assert is_unreadable(bytes(forged))
    assert is_unreadable(bytes(of_another_kind))
