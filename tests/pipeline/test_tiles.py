"""Tiles after a batch, against a rewriting of every tile by itself."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.pipeline.tiles import without_and_with
from tests.tiles import tiled

TILES = np.array([8, 11, 12, 40])


def objects(ids: list[int], ra: float) -> ObjectPositions:
    n = len(ids)
    return ObjectPositions(
        diaObjectId=np.array(ids, np.int64),
        ra=np.full(n, ra),
        dec=np.zeros(n),
        raErr=np.full(n, np.nan, np.float32),
        decErr=np.full(n, 1e-5, np.float32),
        validityStartMjdTai=np.full(n, 60_000.0 + ra),
        nDiaSources=np.full(n, 2, np.int32),
    )


def contents(by_tile: dict[int, ObjectPositions]) -> dict[int, list[tuple[int, float]]]:
    return {
        tile: list(zip(held.diaObjectId.tolist(), held.ra.tolist(), strict=True)) for tile, held in by_tile.items()
    }


# Which tile each of a dozen objects is in, before and after: None for nowhere.
places = st.lists(st.sampled_from([None, *range(len(TILES))]), min_size=12, max_size=12)


@given(places, places, st.lists(st.booleans(), min_size=12, max_size=12), st.randoms())
@settings(max_examples=200, deadline=None)
def test_every_object_is_where_it_went(before, after, moves, random) -> None:
    ids = [(1 << 60) + index for index in range(12)]
    after = [there if moves[index] else before[index] for index, there in enumerate(after)]
    held = {
        tile: objects([ids[i] for i in range(12) if before[i] == slot], ra=1.0)
        for slot, tile in enumerate(TILES.tolist())
    }
    leaving = [i for i in range(12) if moves[i] and before[i] is not None]
    random.shuffle(leaving)
    arriving = [i for i in range(12) if moves[i] and after[i] is not None]
    random.shuffle(arriving)

    result = without_and_with(
        tiled(held),
        TILES,
        np.array([ids[i] for i in leaving], np.int64),
        TILES[np.array([before[i] for i in leaving], np.int64)],
        objects([ids[i] for i in arriving], ra=2.0),
        TILES[np.array([after[i] for i in arriving], np.int64)],
    )

    assert contents(result.split()) == {
        tile: [(ids[i], 2.0 if moves[i] else 1.0) for i in range(12) if after[i] == slot]
        for slot, tile in enumerate(TILES.tolist())
    }


def test_no_tile_at_all() -> None:
    nothing = TiledObjects.empty()
    empty = np.empty(0, np.int64)
    assert without_and_with(nothing, empty, empty, empty, ObjectPositions.empty(), empty).split() == {}


def test_only_the_tiles_asked_for_are_given() -> None:
    before = tiled({8: objects([1], 1.0), 11: objects([2, 3], 1.0), 12: objects([4], 1.0)})
    empty = np.empty(0, np.int64)
    after = without_and_with(before, np.array([8, 12]), np.array([4]), np.array([12]), ObjectPositions.empty(), empty)
    assert contents(after.split()) == {8: [(1, 1.0)], 12: []}
