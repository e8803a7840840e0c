import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.statistics.order_statistics import INSERTED_AT_MOST, PERCENTILES

Evaluate = Callable[..., dict[str, float]]

NAMES = ("ap_minMaxFlux", "ap_percentileFlux", "ap_madFlux")


@pytest.mark.parametrize("n", [INSERTED_AT_MOST, INSERTED_AT_MOST + 1, 3 * INSERTED_AT_MOST])
def test_long_light_curves(evaluate: Evaluate, n: int) -> None:
    flux = np.random.default_rng(6).normal(0.0, 100.0, n)
    values = evaluate("ap_percentileFlux", flux, flux, flux)
    percentiles = [values[f"psfFluxPercentile{percentile:02d}"] for percentile in PERCENTILES]
    np.testing.assert_allclose(percentiles, np.percentile(flux, PERCENTILES), rtol=1e-12, atol=1e-9)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_every_finite_flux_counts(evaluate: Evaluate, flux: list[float]) -> None:
    values: dict[str, float] = {}
    for name in NAMES:
        values |= evaluate(name, flux, flux, flux)
    finite = np.array([f for f in flux if math.isfinite(f)])
    if len(finite) == 0:
        assert all(math.isnan(value) for value in values.values())
        return
    assert values["psfFluxMin"] == finite.min()
    assert values["psfFluxMax"] == finite.max()
    percentiles = [values[f"psfFluxPercentile{percentile:02d}"] for percentile in PERCENTILES]
    np.testing.assert_allclose(percentiles, np.percentile(finite, PERCENTILES), rtol=1e-12, atol=1e-9)
    deviation = np.median(np.abs(finite - np.median(finite)))
    np.testing.assert_allclose(values["psfFluxMAD"], deviation, rtol=1e-12, atol=1e-9)
