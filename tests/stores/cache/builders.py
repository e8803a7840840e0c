"""Tiles and states with nothing special about them, for the tests of the cache."""

from dataclasses import fields

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates, StateLayout
from stream_assoc.pipeline.ports.cache import CachedTiles
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from tests.tiles import tiled

LAYOUT = StateLayout("test", 5, np.array([0.0, np.nan, -np.inf, -0.0]))
TILE_LEVEL, CELL_LEVEL = 10, 6
KEYS = CacheKeys.drawn_from(b"secret", "tests")
FIRST_TILE = 8 << 2 * TILE_LEVEL
FIRST_ID = 2**53 + 1


def positions(n, first_id=FIRST_ID, seed=0):
    rng = np.random.default_rng(seed)
    return ObjectPositions(
        first_id + np.arange(n),
        rng.uniform(0, 360, n),
        rng.uniform(-90, 90, n),
        rng.random(n, np.float32),
        np.where(np.arange(n) % 3, rng.random(n, np.float32), np.float32(np.nan)),
        rng.uniform(61000, 62000, n),
        rng.integers(1, 9, n, np.int32),
    )


def tile(n, index=FIRST_TILE, version=1, seed=0):
    """Return a tile of so many objects."""
    return CachedTiles(tiled({index: positions(n, seed=seed)}), np.array([version]))


def together(*parts):
    """Return some cached tiles as one; they must ascend."""
    return CachedTiles(
        TiledObjects.merged([part.objects for part in parts]), np.concatenate([part.versions for part in parts])
    )


def states(n, first_id=FIRST_ID, seed=0, points_per_band=4):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, points_per_band + 1, (n, N_BANDS)) * rng.integers(0, 2, (n, N_BANDS))
    fields_of_bands = rng.normal(size=(n, N_BANDS, LAYOUT.n_band_fields))
    band_fields = np.where(lengths[..., np.newaxis] > 0, fields_of_bands, LAYOUT.initial_band_fields)
    n_points = int(lengths.sum())
    narrow = rng.normal(size=(4, n_points)).astype(np.float32).astype(np.float64)
    narrow[rng.random(narrow.shape) < 0.1] = np.nan
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths.ravel())])
    times = rng.uniform(61000, 62000, n)
    ra_error, dec_error, covariance = rng.random((3, n), np.float32)
    return ObjectStates(
        first_id + np.arange(n),
        times,
        ra_error,
        dec_error,
        covariance,
        rng.normal(size=(n, LAYOUT.n_object_fields)),
        band_fields,
        LightCurves(offsets, rng.uniform(61000, 62000, n_points), *narrow),
    )


def cells_of(some_states):
    return np.asarray((8 << 2 * CELL_LEVEL) + some_states.diaObjectId % 7)


def assert_same(left, right) -> None:
    """Require the same bits in every array, however deep."""
    assert type(left) is type(right)
    for field in fields(left):
        a, b = getattr(left, field.name), getattr(right, field.name)
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape) == (b.dtype, b.shape), field.name
            assert a.tobytes() == b.tobytes(), field.name
        else:
            assert_same(a, b)
