import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import SourcePoints
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.sql.rows import (
    histories,
    int_column,
    pixel_ranges,
    repeated,
    store_rows,
    tiled,
    versions_of,
)
from stream_assoc.testing.rows import BIG, changes, dia_object


@settings(max_examples=100, deadline=None)
@given(tiles=st.lists(st.integers(8 << 20, (8 << 20) + 60), unique=True), level=st.just(10))
def test_ranges_cover_exactly_the_tiles(tiles, level) -> None:
    ranges = pixel_ranges(np.array(tiles, np.int64), level)
    covered = [tile for first, last in ranges.tolist() for tile in range(first >> 20, (last >> 20) + 1)]
    assert covered == sorted(tiles)
    assert all(first & 0xFFFFF == 0 and last & 0xFFFFF == 0xFFFFF for first, last in ranges.tolist())
    assert (ranges[1:, 0] - ranges[:-1, 1] > 1).all()


@settings(max_examples=50, deadline=None)
@given(order=st.lists(st.lists(st.integers(0, 4), unique=True, max_size=5), min_size=1, max_size=5))
def test_each_version_ends_where_the_next_begins(order) -> None:
    batches = [
        changes(BatchId(k, 0), objects=[dia_object(BIG + i, 60000.0 + k) for i in ids], time=60000.0 + k)
        for k, ids in enumerate(order)
    ]
    rows = store_rows(batches)
    expected_start = {i: [60000.0 + k for k, ids in enumerate(order) if i in ids] for i in range(5)}
    touched = [i for i in range(5) if expected_start[i]]
    assert rows.superseded.tolist() == [BIG + i for i in touched]
    assert rows.ends.tolist() == [expected_start[i][0] for i in touched]
    if not touched:
        assert rows.tables == {}
        return
    objects = rows.tables["DiaObject"].select(["diaObjectId", "validityStartMjdTai", "validityEndMjdTai"])
    versions = {tuple(row.values()) for row in objects.to_pylist()}
    assert versions == {
        (BIG + i, start, end)
        for i in touched
        for start, end in zip(expected_start[i], [*expected_start[i][1:], None], strict=True)
    }
    last = rows.tables["DiaObjectLast"]
    assert sorted(zip(int_column(last, "diaObjectId"), last["validityStartMjdTai"].to_pylist(), strict=True)) == [
        (BIG + i, expected_start[i][-1]) for i in touched
    ]


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


def test_repeated_and_versions() -> None:
    assert repeated(np.array([BIG, 3, BIG, 4])).tolist() == [BIG]
    assert versions_of(np.array([4, 2]), {2: 7}).tolist() == [0, 7]
