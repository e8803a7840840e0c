"""A filled cache is the one that the daemon would have made, blob by blob."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from stream_assoc.pipeline.warming import Warmed, Warmer
from stream_assoc.tools.maintenance.fill import rebuild
from tests.tools.maintenance.tampering import change_tile, fullest_tile, true_content


def warm(stores, tiles):
    return Warmer(stores.apdb, stores.cache, stores.calculator, stores.partition, stores.checkpoints).warm(tiles)


def filled(work, stores, tiles=None):
    return reduce(Warmed.__add__, work(stores, stores.apdb.known_tiles() if tiles is None else tiles), Warmed())


def blobs(cache):
    return {key: bytes(blob) for kept in (cache.tiles, cache.states) for key, blob in kept.items()}


@pytest.mark.parametrize("work", [rebuild, warm])
def test_an_emptied_cache_is_filled_with_the_blobs_it_had(stores, work) -> None:
    before = blobs(stores.cache)
    # Among them empty ones, which batches have looked into and not changed.
    tiles = np.array(sorted(stores.cache.tiles))
    stores.cache.flush()
    done = filled(work, stores, tiles)
    assert blobs(stores.cache) == before
    assert (done.written_tiles, done.written_states) == (done.tiles, done.states)
    assert done.states == stores.apdb.count_rows()["DiaObjectLast"]


def test_a_warm_cache_is_left_alone(stores) -> None:
    done = filled(warm, stores)
    assert (done.written_tiles, done.written_states) == (0, 0)


def test_warming_writes_what_is_lacking_old_or_damaged(stores) -> None:
    before = blobs(stores.cache)
    tile = fullest_tile(stores)
    positions, states, cell = true_content(stores, tile)
    first, second, third, *_ = positions.diaObjectId.tolist()
    stores.cache.tiles[tile] = b"rubbish"
    del stores.cache.states[first]
    stores.cache.states[second] = b"rubbish"
    older = replace(states.take(np.array([2])), validityStartMjdTai=np.array([1.0]))
    stores.write_states(older, cell)
    assert stores.cache.states[third] != before[third]
    done = filled(warm, stores)
    assert (done.written_tiles, done.written_states) == (1, 3)
    assert blobs(stores.cache) == before


def test_rebuilding_mends_what_warming_believes(stores) -> None:
    before = blobs(stores.cache)
    tile = fullest_tile(stores)
    positions, _, _ = true_content(stores, tile)
    change_tile(stores, tile, ra=positions.ra + 0.1)
    assert filled(warm, stores).written_tiles == 0
    assert blobs(stores.cache) != before
    filled(rebuild, stores)
    assert blobs(stores.cache) == before
