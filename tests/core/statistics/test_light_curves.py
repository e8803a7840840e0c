from collections.abc import Callable, Sequence

import numpy as np

from stream_assoc.core.model.states import LightCurves, SourcePoints
from stream_assoc.core.statistics.light_curves import append_one_each, curves_of

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]


def slots(curves: LightCurves) -> list[list[float]]:
    return [part.tolist() for part in np.split(curves.psfFlux, curves.offsets[1:-1])]


def test_points_are_sorted_by_object_and_band_and_keep_their_order(points_of: Points) -> None:
    points = points_of([(9, 1.0, 1, 2), (8, 2.0, 1, 0), (7, 3.0, 1, 2), (6, 4.0, 1, 5)])
    curves = curves_of(points, np.array([0, 1, 0, 1]), 3)
    wanted: list[list[float]] = [[] for _ in range(18)]
    wanted[2], wanted[6], wanted[11] = [1.0, 3.0], [2.0], [4.0]
    assert slots(curves) == wanted


def test_a_point_is_appended_to_its_own_light_curve(points_of: Points) -> None:
    before = curves_of(points_of([(1, 1.0, 1, 0), (2, 2.0, 1, 3)]), np.array([0, 1]), 2)
    copy = slots(before)
    after = append_one_each(before, points_of([(3, 3.0, 1, 0), (4, 4.0, 1, 1)]))
    wanted: list[list[float]] = [[] for _ in range(12)]
    wanted[0], wanted[7], wanted[9] = [1.0, 3.0], [4.0], [2.0]
    assert slots(after) == wanted
    assert slots(before) == copy


def test_no_objects(points_of: Points) -> None:
    curves = append_one_each(LightCurves.empty(0), points_of([]))
    assert curves.n_slots == 0
