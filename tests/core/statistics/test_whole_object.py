import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from stream_assoc.core.model.states import ObjectHistories, SourcePoints
from stream_assoc.core.statistics import StatisticsCalculator

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]
Histories = Callable[[SourcePoints, Sequence[int]], ObjectHistories]
Position = Callable[[Sequence[float], Sequence[float]], tuple[float, float]]


@pytest.fixture
def position(points_of: Points, histories_of: Histories) -> Position:
    def position(ra: Sequence[float], dec: Sequence[float]) -> tuple[float, float]:
        points = points_of([(60000.0, 1.0, 1.0, 0)] * len(ra))
        points = dataclasses.replace(points, ra=np.array(ra, np.float64), dec=np.array(dec, np.float64))
        calculator = StatisticsCalculator(())
        positions = calculator.positions(calculator.rebuild(histories_of(points, [len(ra)])))
        return float(positions.ra[0]), float(positions.dec[0])

    return position


def test_across_ra_zero(position: Position) -> None:
    ra, dec = position([359.9999, 0.0003], [10.0, 10.0])
    assert ra == pytest.approx(0.0001, abs=1e-12)
    assert dec == pytest.approx(10.0, abs=1e-9)


def test_ra_stays_below_360(position: Position) -> None:
    for ra in (-1e-15, 360.0, 359.99999999999994):
        assert 0.0 <= position([ra], [0.0])[0] < 360.0


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_at_the_poles(position: Position, pole: float) -> None:
    assert position([123.0], [pole])[1] == pole
    assert position([0.0, 180.0], [math.copysign(89.9999, pole)] * 2)[1] == pole


def test_one_source_keeps_its_position(position: Position) -> None:
    ra, dec = position([123.456], [-54.321])
    assert ra == pytest.approx(123.456, abs=1e-12)
    assert dec == pytest.approx(-54.321, abs=1e-12)


def test_no_position_on_the_sphere_is_left_out(position: Position) -> None:
    assert position([10.0, math.nan, 11.0, 12.0], [5.0, 5.0, math.inf, 95.0]) == position([10.0], [5.0])


def test_no_position_at_all_is_nan(position: Position) -> None:
    assert all(math.isnan(angle) for angle in position([math.nan], [5.0]))


def test_count_times_and_flag(points_of: Points, histories_of: Histories) -> None:
    points = points_of([(time, math.nan, 1.0, 0) for time in (60002.0, 60001.0, math.nan, 60003.0, 60005.0)])
    points = dataclasses.replace(points, flag=np.array([False, True, False, False, False]))
    calculator = StatisticsCalculator(("ap_diaObjectFlag",))
    values = calculator.statistics(calculator.rebuild(histories_of(points, [4, 1])))
    assert values["nDiaSources"].tolist() == [4, 1]
    assert values["firstDiaSourceMjdTai"].tolist() == [60001.0, 60005.0]
    assert values["lastDiaSourceMjdTai"].tolist() == [60003.0, 60005.0]
    assert values["flags"].tolist() == [1, 0]
