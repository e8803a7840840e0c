import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Evaluate = Callable[..., dict[str, float]]

points = st.lists(st.tuples(st.integers(0, 12), st.integers(-50, 50)), min_size=1, max_size=14)


def steepest(light_curve: list[tuple[float, float]]) -> float:
    """The steepest rise from the lowest flux of an epoch to the highest of the next."""
    epochs = sorted({time for time, _ in light_curve})
    fluxes = {epoch: [flux for time, flux in light_curve if time == epoch] for epoch in epochs}
    rises = [(max(fluxes[b]) - min(fluxes[a])) / (b - a) for a, b in itertools.pairwise(epochs)]
    return max(rises, default=math.nan)


@given(points)
@settings(max_examples=100, deadline=None)
def test_max_slope_in_any_order_of_arrival(evaluate: Evaluate, light_curve: list[tuple[int, int]]) -> None:
    times, fluxes = zip(*((60000.0 + time / 4, float(flux)) for time, flux in light_curve), strict=True)
    slope = evaluate("ap_maxSlopeFlux", times, fluxes, fluxes)["psfFluxMaxSlope"]
    wanted = steepest(list(zip(times, fluxes, strict=True)))
    assert slope == pytest.approx(wanted, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("broken", [(math.nan, 1.0), (2.0, math.nan), (2.0, math.inf), (math.inf, 3.0)])
def test_max_slope_leaves_out_what_is_not_finite(evaluate: Evaluate, broken: tuple[float, float]) -> None:
    for place in range(4):
        times, fluxes = [3.0, 1.0, 2.5], [5.0, 4.0, 4.5]
        times.insert(place, broken[0])
        fluxes.insert(place, broken[1])
        assert evaluate("ap_maxSlopeFlux", times, fluxes, fluxes)["psfFluxMaxSlope"] == 1.0


def test_max_slope_of_equal_times_is_undefined(evaluate: Evaluate) -> None:
    assert math.isnan(evaluate("ap_maxSlopeFlux", [5.0, 5.0], [1.0, 2.0], [1.0, 1.0])["psfFluxMaxSlope"])


def exact_line(times: list[float], fluxes: list[float], errors: list[float]) -> tuple[float, float]:
    t, f = [Fraction(x) for x in times], [Fraction(x) for x in fluxes]
    w = [Fraction(x**-2) for x in errors]
    total = sum(w)
    mean_t = sum(a * b for a, b in zip(w, t, strict=True)) / total
    mean_f = sum(a * b for a, b in zip(w, f, strict=True)) / total
    slope = sum(a * (b - mean_t) * c for a, b, c in zip(w, t, f, strict=True)) / sum(
        a * (b - mean_t) ** 2 for a, b in zip(w, t, strict=True)
    )
    return float(slope), float(mean_f - slope * mean_t)


@pytest.mark.parametrize("baseline", [0.1, 3650.0])
def test_linear_fit_far_from_zero(evaluate: Evaluate, baseline: float) -> None:
    generator = np.random.default_rng(3)
    times = 61000.0 + baseline * generator.random(1000)
    errors = generator.uniform(0.5, 2.0, 1000)
    fluxes = 1e7 + (times - 61000.0) * 20 / baseline + errors * generator.normal(size=1000)
    slope, intercept = exact_line(times.tolist(), fluxes.tolist(), errors.tolist())
    values = evaluate("ap_linearFit", times, fluxes, errors)
    assert values["psfFluxLinearSlope"] == pytest.approx(slope, rel=1e-6)
    assert values["psfFluxLinearIntercept"] == pytest.approx(intercept, rel=1e-6)


def test_linear_fit_leaves_out_unusable_points(evaluate: Evaluate) -> None:
    good = evaluate("ap_linearFit", [1.0, 2.0], [3.0, 5.0], [1.0, 1.0])
    assert good == {"psfFluxLinearSlope": 2.0, "psfFluxLinearIntercept": 1.0}
    times, fluxes = [math.nan, 1.0, 7.0, 7.0, 7.0, 2.0], [9.0, 3.0, math.nan, 9.0, 9.0, 5.0]
    assert evaluate("ap_linearFit", times, fluxes, [1.0, 1.0, 1.0, 0.0, math.inf, 1.0]) == good


def test_linear_fit_of_one_epoch_is_the_line_of_least_norm(evaluate: Evaluate) -> None:
    values = evaluate("ap_linearFit", [3.0, 3.0], [10.0, 30.0], [1.0, 1.0])
    assert values == {"psfFluxLinearSlope": pytest.approx(6.0), "psfFluxLinearIntercept": pytest.approx(2.0)}


def test_linear_fit_of_one_point_is_undefined(evaluate: Evaluate) -> None:
    assert all(math.isnan(value) for value in evaluate("ap_linearFit", [3.0], [1.0], [1.0]).values())
