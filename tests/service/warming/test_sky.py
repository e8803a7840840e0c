"""What was announced lately, and what was not."""

import numpy as np
import pytest

from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.pipeline.region import SkyPartition
from stream_assoc.service.warming import sky
from stream_assoc.service.warming.sky import AnnouncedSky

PARTITION = SkyPartition()


class Stage:
    def __init__(self) -> None:
        self.now = 0.0
        self.sky = AnnouncedSky(1.9, PARTITION, lambda: self.now)

    def knows(self, ra: float, dec: float) -> tuple[bool, bool]:
        tiles = htm_index([ra], [dec], PARTITION.tile_level)
        return bool(self.sky.has_tiles(tiles)[0]), bool(self.sky.has_cells(PARTITION.cells(tiles))[0])


def test_nothing_is_announced_at_first() -> None:
    assert Stage().knows(10.0, -5.0) == (False, False)


def test_circles_are_announced_for_half_an_hour_each() -> None:
    stage = Stage()
    stage.sky.add(10.0, -5.0)
    stage.now = 1000.0
    stage.sky.add(359.5, 40.0)
    assert stage.knows(10.0, -6.8) == stage.knows(0.5, 40.0) == (True, True)
    assert stage.knows(10.0, -8.0) == stage.knows(5.0, 40.0) == (False, False)
    stage.now = 1900.0
    stage.sky.add(200.0, 0.0)
    assert stage.knows(10.0, -5.0) == (False, False)
    assert stage.knows(359.5, 40.0) == stage.knows(200.0, 0.0) == (True, True)


def test_the_answers_have_the_order_of_the_question() -> None:
    stage = Stage()
    stage.sky.add(10.0, -5.0)
    tiles = htm_index([10.0, 50.0, 10.1], [-5.0, -5.0, -5.0], PARTITION.tile_level)
    assert stage.sky.has_tiles(tiles).tolist() == [True, False, True]
    assert stage.sky.has_tiles(np.empty(0, np.int64)).tolist() == []


def tiles_at(ra: float) -> int:
    return len(trixels_near([ra], [0.0], 1.9 * 3600.0, PARTITION.tile_level))


def test_what_is_announced_again_is_known_for_longer() -> None:
    stage = Stage()
    stage.sky.add(10.0, -5.0)
    stage.now = 1000.0
    stage.sky.add(10.0, -5.0)
    stage.now = 2799.0
    assert stage.knows(10.0, -5.0) == (True, True)
    stage.now = 2800.0
    assert stage.knows(10.0, -5.0) == (False, False)


def test_of_a_flood_the_latest_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky, "MOST_KEPT", 3 * tiles_at(0.0))
    stage = Stage()
    known = []
    for ra in range(0, 360, 5):
        stage.sky.add(float(ra), 0.0)
        assert stage.knows(float(ra), 0.0) == (True, True)
        known.append(sum(stage.knows(float(one), 0.0)[0] for one in range(0, 360, 5)))
    assert max(known) <= 6


def test_what_is_forgotten_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky, "MOST_KEPT", 5 * tiles_at(0.0))
    stage = Stage()
    for turn in range(12):
        stage.now = 1000.0 * turn
        stage.sky.add(20.0 * turn, 0.0)
        assert [stage.knows(20.0 * one, 0.0)[0] for one in range(turn + 1)][-2:] == [True, True][: turn + 1]


def test_the_same_sky_announced_again_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky, "MOST_KEPT", 5 * tiles_at(0.0))
    stage = Stage()
    stage.sky.add(100.0, 0.0)
    for _ in range(30):
        stage.sky.add(10.0, 0.0)
    assert stage.knows(100.0, 0.0) == (True, True)
