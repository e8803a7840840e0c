"""The sky a batch needs: complete whatever its producer says of the footprint."""

import numpy as np
import pandas as pd
import pytest

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.pipeline.region import SkyPartition, in_footprint, region_of
from tests.pipeline.bench import batch_of
from tests.tiles import tiled

DETECTOR = np.array([(359.9, -30.1), (0.1, -30.1), (0.1, -29.9), (359.9, -29.9)])


def batch_at(ra: FloatArray, dec: FloatArray) -> Batch:
    n = len(ra)
    sources = pd.DataFrame(
        {"diaSourceId": np.arange(1, n + 1), "ra": ra, "dec": dec, "x": np.zeros(n), "y": np.zeros(n)}
    )
    return batch_of(sources, BatchId(1, 1), "r", 61_000.0, DETECTOR)


@pytest.mark.parametrize("margin_arcsec", [0.0, 1.0, 20.0])
def test_the_surroundings_of_every_source_are_there(margin_arcsec: float) -> None:
    # On both sides of the outline, and far from it.
    ra = np.array([0.0, 359.9 - 21.0 / 3600.0, 359.9 - 1.0 / 3600.0, 0.1, 12.0, 0.0])
    dec = np.array([-30.0, -30.0, -30.0, -30.1, 40.0, -29.9 + 19.0 / 3600.0])
    partition = SkyPartition(tile_level=14, cell_level=8, angle_margin_arcsec=margin_arcsec)
    region = region_of(batch_at(ra, dec), partition, match_radius_arcsec=1.0)
    assert set(trixels_near(ra, dec, 2.0, 14).tolist()) <= set(region.tiles.tolist())
    assert np.all(np.diff(region.tiles) > 0)


@pytest.mark.parametrize("margin_arcsec", [0.0, 20.0, 120.0])
def test_objects_in_the_footprint_are_those_it_contains(margin_arcsec: float) -> None:
    partition = SkyPartition(tile_level=12, cell_level=8, angle_margin_arcsec=margin_arcsec)
    region = region_of(batch_at(np.array([0.0]), np.array([-30.0])), partition, match_radius_arcsec=1.0)
    generator = np.random.default_rng(6)
    n = 5000
    ra, dec = generator.uniform(-0.2, 0.2, n) % 360.0, generator.uniform(-30.2, -29.8, n)
    tile = htm_index(ra, dec, 12)
    objects = ObjectPositions(
        np.arange(n), ra, dec, np.ones(n, np.float32), np.ones(n, np.float32), np.ones(n), np.ones(n, np.int32)
    )
    held = tiled({one: objects.take(tile == one) for one in region.tiles.tolist()})
    wanted = region.footprint.contains(held.positions.ra, held.positions.dec, margin_arcsec)
    inside = in_footprint(region, held, partition)
    assert 0 < np.count_nonzero(inside) < len(held)
    assert inside.tolist() == wanted.tolist()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("x", "y", "usable"),
    [(3e38, 3e38, True), (-3e38, 3e38, True), (np.inf, -np.inf, False), (np.nan, 1.0, False), (1.0, np.inf, False)],
)
def test_a_centroid_is_judged_by_each_of_its_coordinates(x: float, y: float, usable: bool) -> None:
    sources = pd.DataFrame({"diaSourceId": [1], "ra": [0.0], "dec": [-30.0], "x": [x], "y": [y]})
    region = region_of(batch_of(sources, BatchId(1, 1), "r", 61_000.0, DETECTOR), SkyPartition(), 1.0)
    assert region.usable.tolist() == [usable]
