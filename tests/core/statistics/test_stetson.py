import math
from collections.abc import Callable

import numpy as np
import pytest

from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.states import LightCurves
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.statistics.stetson import StetsonJ

Evaluate = Callable[..., dict[str, float]]


def stetson_j(flux: np.ndarray, error: np.ndarray) -> float:
    stretch = math.sqrt(len(flux) / (len(flux) - 1))
    mean = np.average(flux, weights=error**-2)
    for _ in range(20):
        previous = mean
        weights = error**-2 / (1 + (stretch * np.abs(flux - mean) / error / 2) ** 2)
        mean = np.average(flux, weights=weights)
        if abs(mean - previous) < 1e-6 and abs(mean - previous) / mean < 1e-6:
            break
    excess = (stretch * (flux - mean) / error) ** 2 - 1
    return float(np.mean(np.sign(excess) * np.sqrt(np.abs(excess))))


def j_of(evaluate: Evaluate, flux: object, error: object) -> float:
    return evaluate("ap_stetsonJ", flux, flux, error)["psfFluxStetsonJ"]


@pytest.mark.parametrize("level", [0.0, -500.0, 1e4])
def test_any_light_curve(evaluate: Evaluate, level: float) -> None:
    generator = np.random.default_rng(4)
    for n in (2, 3, 10, 200):
        error = generator.uniform(1.0, 10.0, n)
        flux = level + error * generator.standard_t(2, n)
        assert j_of(evaluate, flux, error) == pytest.approx(stetson_j(flux, error), rel=1e-6, abs=1e-6)


def test_constant_flux_is_less_than_noise(evaluate: Evaluate) -> None:
    assert j_of(evaluate, [3.0] * 5, [1.0] * 5) == -1.0


def test_unusable_points_are_left_out(evaluate: Evaluate) -> None:
    flux, error = [1.0, math.nan, 4.0, 2.0, 9.0, math.inf], [1.0, 1.0, 1.0, 0.0, math.nan, 1.0]
    assert j_of(evaluate, flux, error) == j_of(evaluate, [1.0, 4.0], [1.0, 1.0])


def test_fewer_than_two_points_give_nan(evaluate: Evaluate) -> None:
    assert math.isnan(j_of(evaluate, [1.0, math.nan], [1.0, 1.0]))


def test_light_curves_side_by_side_give_the_bits_of_each_alone() -> None:
    generator = np.random.default_rng(5)
    offsets = offsets_of(generator.integers(0, 40, 200))
    n = int(offsets[-1])
    flux, error = generator.normal(0.0, 100.0, n), generator.choice([1.0, 50.0, 1e4, math.nan, 0.0], n)

    def folded(first: int, last: int) -> FloatArray:
        points = slice(offsets[first], offsets[last])
        columns = flux[points], flux[points], error[points], flux[points], error[points]
        curves = LightCurves(offsets[first : last + 1] - offsets[first], *columns)
        fields = np.full((last - first, 1), math.nan)
        StetsonJ().fold(fields, curves, curves.offsets[:-1])
        return fields

    alone = np.concatenate([folded(slot, slot + 1) for slot in range(200)])
    assert folded(0, 200).tobytes() == alone.tobytes()
    assert np.isfinite(alone).sum() > 100
