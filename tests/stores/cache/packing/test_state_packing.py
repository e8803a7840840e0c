import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates, StateLayout
from stream_assoc.stores.cache.packing.authentication import CacheKeys, code_of_words
from stream_assoc.stores.cache.packing.state_packing import pack_states, unpack_states
from tests.stores.cache.bits import INT64, arrays, doubles, floats
from tests.stores.cache.builders import KEYS, LAYOUT, assert_same, states

QUIET = 0x0040_0000


def widened(draw, n):
    """Float32 values widened; what widening does to a signalling NaN is done beforehand."""
    bits = floats(draw, n).view(np.uint32)
    is_nan = np.isnan(bits.view(np.float32))
    bits[is_nan] |= QUIET
    return bits.view(np.float32).astype(np.float64)


@st.composite
def layouts_and_states(draw):
    n = draw(st.integers(0, 4))
    n_object_fields, n_band_fields = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    layout = StateLayout(draw(st.text(max_size=5)), n_object_fields, doubles(draw, n_band_fields))
    lengths = arrays(draw, np.int64, n * N_BANDS, st.integers(0, 2))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    n_points = int(offsets[-1])
    band_fields = doubles(draw, (n, N_BANDS, n_band_fields))
    keep_initial = arrays(draw, np.bool_, (n, N_BANDS), st.booleans())
    band_fields.view(np.int64)[keep_initial] = layout.initial_band_fields.view(np.int64)
    return layout, ObjectStates(
        arrays(draw, np.int64, n, INT64),
        doubles(draw, n),
        floats(draw, n),
        floats(draw, n),
        floats(draw, n),
        doubles(draw, (n, n_object_fields)),
        band_fields,
        LightCurves(offsets, doubles(draw, n_points), *(widened(draw, n_points) for _ in range(4))),
    )


def unpacked(blobs, some, layout=LAYOUT):
    return unpack_states(blobs, layout, some.diaObjectId, some.validityStartMjdTai, KEYS.states)


@given(layouts_and_states())
@settings(max_examples=60, deadline=None)
def test_states_come_back_bit_by_bit(case) -> None:
    layout, some = case
    cached, n_unreadable = unpacked([bytes(blob) for blob in pack_states(some, layout, KEYS.states)], some, layout)
    assert n_unreadable == 0
    assert cached.found.tolist() == list(range(len(some)))
    assert_same(cached.states, some)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_byte_is_noticed(data) -> None:
    some = states(1, seed=3)
    (blob,) = map(bytearray, pack_states(some, LAYOUT, KEYS.states))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    cached, n_unreadable = unpacked([bytes(blob)], some)
    assert (len(cached.found), n_unreadable) == (0, 1)


@given(st.binary(max_size=400))
@settings(max_examples=60, deadline=None)
def test_foreign_bytes_are_unreadable(foreign) -> None:
    some = states(1)
    cached, n_unreadable = unpacked([foreign], some)
    assert (len(cached.found), n_unreadable) == (0, 1)


def test_truncation_at_every_length_is_noticed() -> None:
    some = states(1, seed=3)
    (blob,) = map(bytes, pack_states(some, LAYOUT, KEYS.states))
    assert all(unpacked([blob[:n]], some)[1] == 1 for n in range(len(blob)))


@pytest.mark.parametrize(("word", "value"), [(13, 7), (13, 0), (24, 6), (25, 2**32 - 1)])
def test_impossible_bands_under_a_right_code_are_unreadable(word: int, value: int) -> None:
    """A writer with another idea of the layout must not send a reader astray."""
    some = states(1, seed=3)
    (blob,) = (np.frombuffer(bytearray(one), np.uint32) for one in pack_states(some, LAYOUT, KEYS.states))
    blob[word] = value
    words = blob.view(np.uint64)
    words[0] = code_of_words(words, 1, len(words), KEYS.states)
    assert unpacked([blob.tobytes()], some)[1] == 1


def test_one_bad_blob_does_not_hide_its_neighbours() -> None:
    some = states(5)
    blobs: list[bytes | None] = [bytes(blob) for blob in pack_states(some, LAYOUT, KEYS.states)]
    blobs[1], blobs[3] = b"odd", None
    cached, n_unreadable = unpacked(blobs, some)
    assert cached.found.tolist() == [0, 2, 4]
    assert n_unreadable == 1
    assert_same(cached.states, some.take(cached.found))


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(LAYOUT, name="other"),
        dataclasses.replace(LAYOUT, n_object_fields=4),
        dataclasses.replace(LAYOUT, initial_band_fields=np.zeros(4)),
    ],
)
def test_a_state_of_another_layout_is_unreadable(other) -> None:
    some = states(2)
    assert unpacked([bytes(blob) for blob in pack_states(some, LAYOUT, KEYS.states)], some, other)[1] == 2


def test_a_band_without_sources_takes_no_room() -> None:
    one = states(1, points_per_band=0)
    (blob,) = pack_states(one, LAYOUT, KEYS.states)
    assert len(blob) == 56 + 8 * LAYOUT.n_object_fields


def test_a_band_that_lost_its_sources_but_not_its_fields_is_kept() -> None:
    one = states(1, points_per_band=0)
    one.band_fields[0, 2, 1] = 4.0
    assert_same(unpacked([bytes(blob) for blob in pack_states(one, LAYOUT, KEYS.states)], one)[0].states, one)


@pytest.mark.parametrize("flux", [0.1, 1e300, 1e-300, np.uint64(0x7FF8_0000_0000_0001).view(np.float64)])
def test_a_flux_that_is_no_float32_is_refused(flux) -> None:
    some = states(3, seed=1)
    some.curves.scienceFlux[-1] = flux
    with pytest.raises(ValueError, match="scienceFlux"):
        pack_states(some, LAYOUT, KEYS.states)


def test_states_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="object_fields"):
        pack_states(states(2), dataclasses.replace(LAYOUT, n_object_fields=4), KEYS.states)


def test_read_only_and_strided_arrays_are_packed_alike() -> None:
    some = states(6)
    strided = dataclasses.replace(
        some,
        object_fields=np.asfortranarray(some.object_fields),
        diaObjectId=np.repeat(some.diaObjectId, 2)[::2],
    )
    strided.validityStartMjdTai.flags.writeable = False
    packed, expected = (list(map(bytes, pack_states(one, LAYOUT, KEYS.states))) for one in (strided, some))
    assert packed == expected


def test_a_blob_of_somebody_without_the_key_is_unreadable() -> None:
    some = states(1, seed=3)
    for key in (CacheKeys.random().states, KEYS.tiles):
        assert unpacked([bytes(blob) for blob in pack_states(some, LAYOUT, key)], some)[1] == 1
