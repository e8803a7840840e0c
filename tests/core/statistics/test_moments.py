import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Evaluate = Callable[..., dict[str, float]]


def exact_sigma_and_skew(flux: list[float]) -> tuple[float, float]:
    values = [Fraction(f) for f in flux]
    n = len(values)
    mean = sum(values) / n
    m2 = sum((f - mean) ** 2 for f in values)
    m3 = sum((f - mean) ** 3 for f in values)
    sigma = math.sqrt(m2 / (n - 1))
    return sigma, n / ((n - 1) * (n - 2)) * float(m3) / sigma**3 if m2 else 0.0


def columns(evaluate: Evaluate, flux: object) -> tuple[float, float]:
    sigma = evaluate("ap_sigmaFlux", flux, flux, flux)["psfFluxSigma"]
    return sigma, evaluate("ap_skewFlux", flux, flux, flux)["psfFluxSkew"]


@given(st.lists(st.integers(-10_000, 10_000), min_size=3, max_size=40), st.sampled_from([0.0, 1e6, -(2.0**30)]))
@settings(max_examples=60, deadline=None)
def test_moments_of_any_points(evaluate: Evaluate, steps: list[int], level: float) -> None:
    flux = [level + step / 16 for step in steps]
    sigma, skew = columns(evaluate, flux)
    wanted_sigma, wanted_skew = exact_sigma_and_skew(flux)
    assert sigma == pytest.approx(wanted_sigma, rel=1e-9)
    assert skew == pytest.approx(wanted_skew, rel=1e-6, abs=1e-9)


def test_nothing_is_lost_far_from_zero(evaluate: Evaluate) -> None:
    flux = 1e7 + np.random.default_rng(2).gamma(2.0, size=1000)
    sigma, skew = columns(evaluate, flux)
    wanted_sigma, wanted_skew = exact_sigma_and_skew(flux.tolist())
    assert sigma == pytest.approx(wanted_sigma, rel=1e-9)
    assert skew == pytest.approx(wanted_skew, rel=1e-9)


def test_science_flux_has_its_own_sigma(evaluate: Evaluate) -> None:
    values = evaluate("ap_sigmaTotFlux", [1, 2], [1.0, 3.0], [1, 1])
    assert values == {"scienceFluxSigma": math.sqrt(2.0)}


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_flux_that_is_not_finite_is_left_out(evaluate: Evaluate, broken: float) -> None:
    assert columns(evaluate, [broken, 1.0, 2.0, broken, 4.0]) == columns(evaluate, [1.0, 2.0, 4.0])


def test_too_few_points_give_nan(evaluate: Evaluate) -> None:
    assert all(math.isnan(value) for value in columns(evaluate, [1.0]))
    assert math.isnan(columns(evaluate, [1.0, 2.0])[1])


def test_constant_flux_has_neither_scatter_nor_skew(evaluate: Evaluate) -> None:
    assert columns(evaluate, [0.1] * 7) == (0.0, 0.0)
