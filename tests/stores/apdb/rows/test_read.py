import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import SourcePoints
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.rows.read import histories, pixel_ranges, tiled
from stream_assoc.testing.rows import BIG


@settings(max_examples=100, deadline=None)
@given(tiles=st.lists(st.integers(8 << 20, (8 << 20) + 60), unique=True), level=st.just(10))
def test_ranges_cover_exactly_the_tiles(tiles, level) -> None:
    ranges = pixel_ranges(np.array(tiles, np.int64), level)
    covered = [tile for first, last in ranges.tolist() for tile in range(first >> 20, (last >> 20) + 1)]
    assert covered == sorted(tiles)
    assert all(first & 0xFFFFF == 0 and last & 0xFFFFF == 0xFFFFF for first, last in ranges.tolist())
    assert (ranges[1:, 0] - ranges[:-1, 1] > 1).all()


def test_objects_are_given_to_their_tiles() -> None:
    ids = np.array([BIG + 5, BIG, 3, 4], np.int64)
    empty = ObjectPositions.empty()
    positions = ObjectPositions(ids, *(np.zeros(4, getattr(empty, name).dtype) for name in empty.__slots__[1:]))
    pixels = np.array([7 << 20, (7 << 20) + 4, 9 << 20, 10 << 20], np.int64)
    split = tiled(np.array([9, 7, 8]), 10, pixels, positions).split()
    assert {tile: part.diaObjectId.tolist() for tile, part in split.items()} == {7: [BIG, BIG + 5], 8: [], 9: [3]}


def test_source_of_unknown_band_is_an_error() -> None:
    zero = np.zeros(1)
    points = SourcePoints(zero, zero, zero, zero, zero, zero, zero, np.array([-1]), np.zeros(1, np.bool_))
    versions = [np.array([BIG]), *[np.zeros(1)] * 4]
    with pytest.raises(ApdbSchemaError, match=str(BIG)):
        histories(np.array([BIG]), versions, np.array([BIG]), points)
