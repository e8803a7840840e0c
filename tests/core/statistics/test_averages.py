import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Evaluate = Callable[..., dict[str, float]]

BROKEN = [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, math.inf), (1.0, 0.0), (1.0, -1.0), (1.0, 1e-200)]

fluxes = st.floats(-1e9, 1e9, width=32)
errors = st.floats(2**-6, 1e4, width=32)


def exact_mean_and_chi2(flux: list[float], error: list[float]) -> tuple[float, float]:
    values = [Fraction(f) for f in flux]
    weights = [Fraction(e**-2) for e in error]
    mean = sum(w * f for w, f in zip(weights, values, strict=True)) / sum(weights)
    return float(mean), float(sum(w * (f - mean) ** 2 for w, f in zip(weights, values, strict=True)))


@given(st.lists(st.tuples(fluxes, errors), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_mean_of_any_points(evaluate: Evaluate, points: list[tuple[float, float]]) -> None:
    flux, error = map(list, zip(*points, strict=True))
    mean, chi2 = exact_mean_and_chi2(flux, error)
    values = evaluate("ap_meanFlux", flux, flux, error)
    scale = max(abs(f) for f in flux)
    assert values["psfFluxMean"] == pytest.approx(mean, rel=1e-9, abs=1e-9 * scale)
    assert values["psfFluxMeanErr"] == pytest.approx(sum(e**-2 for e in error) ** -0.5, rel=1e-9)
    assert values["psfFluxNdata"] == len(points)
    absolute = 1e-9 * scale**2 / min(error) ** 2
    assert evaluate("ap_chi2Flux", flux, flux, error)["psfFluxChi2"] == pytest.approx(chi2, rel=1e-9, abs=absolute)


def test_nothing_is_lost_far_from_zero(evaluate: Evaluate) -> None:
    generator = np.random.default_rng(1)
    error = generator.uniform(0.5, 2.0, 1000)
    flux = 1e7 + error * generator.normal(size=1000)
    mean, chi2 = exact_mean_and_chi2(flux.tolist(), error.tolist())
    values = evaluate("ap_meanFlux", flux, flux, error)
    assert values["psfFluxMean"] - 1e7 == pytest.approx(mean - 1e7, abs=1e-8)
    assert evaluate("ap_chi2Flux", flux, flux, error)["psfFluxChi2"] == pytest.approx(chi2, rel=1e-9)


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", ["ap_meanFlux", "ap_meanTotFlux", "ap_chi2Flux"])
def test_unusable_points_are_left_out(evaluate: Evaluate, name: str, broken: tuple[float, float]) -> None:
    without = evaluate(name, [1, 2], [5.0, 7.0], [1.0, 2.0])
    for place in range(3):
        flux, error = [5.0, 7.0], [1.0, 2.0]
        flux.insert(place, broken[0])
        error.insert(place, broken[1])
        assert evaluate(name, [1, 2, 3], flux, error) == without


def test_only_unusable_points_give_the_empty_sums(evaluate: Evaluate) -> None:
    mean = evaluate("ap_meanFlux", [1.0], [math.nan], [1.0])
    assert math.isnan(mean["psfFluxMean"])
    assert math.isnan(mean["psfFluxMeanErr"])
    assert mean["psfFluxNdata"] == 0
    science = evaluate("ap_meanTotFlux", [1.0], [math.nan], [1.0])
    assert math.isnan(science["scienceFluxMean"])
    assert science["scienceFluxMeanErr"] == math.inf
    assert evaluate("ap_chi2Flux", [1.0], [math.nan], [1.0])["psfFluxChi2"] == 0.0


def test_no_points_give_nan(evaluate: Evaluate) -> None:
    assert math.isnan(evaluate("ap_meanTotFlux", [], [], [])["scienceFluxMeanErr"])
    assert math.isnan(evaluate("ap_chi2Flux", [], [], [])["psfFluxChi2"])
    assert math.isnan(evaluate("ap_meanErrFlux", [], [], [])["psfFluxErrMean"])
    assert evaluate("ap_meanFlux", [], [], [])["psfFluxNdata"] == 0


def test_mean_error_takes_every_finite_error(evaluate: Evaluate) -> None:
    values = evaluate("ap_meanErrFlux", [1, 2, 3, 4], [math.nan, 1, 1, 1], [2.0, 4.0, math.nan, math.inf])
    assert values["psfFluxErrMean"] == 3.0
