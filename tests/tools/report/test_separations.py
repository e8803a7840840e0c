import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.tools.report.separations import rayleigh, separations

LARGE = 2**60


def night(n_objects, n_sources, *, scale=1.0, dec=0.0, seed=0):
    """Objects at the mean of their sources, whose errors differ and are too small by a factor."""
    rng = np.random.default_rng(seed)
    centre = np.stack([rng.uniform(0.0, 360.0, n_objects), np.full(n_objects, dec)], axis=1)
    errors = rng.uniform(0.02, 0.2, (n_objects, n_sources, 2)) / 3600.0
    errors[:, :, 0] /= np.cos(np.radians(dec))
    places = centre[:, np.newaxis] + scale * errors * rng.normal(size=errors.shape)
    ids = LARGE + np.arange(n_objects)
    means = places.mean(axis=1)
    objects = pa.table(
        {"diaObjectId": ids, "ra": means[:, 0] % 360.0, "dec": means[:, 1], "nDiaSources": [n_sources] * n_objects}
    )
    sources = pa.table(
        {
            "diaObjectId": np.repeat(ids, n_sources),
            "ra": places[:, :, 0].ravel() % 360.0,
            "dec": places[:, :, 1].ravel(),
            "raErr": errors[:, :, 0].ravel().astype(np.float32),
            "decErr": errors[:, :, 1].ravel().astype(np.float32),
        }
    )
    return sources, objects.take(rng.permutation(n_objects))


@pytest.mark.parametrize("n_sources", [2, 3, 20])
@pytest.mark.parametrize("dec", [0.0, -80.0])
def test_right_errors_give_the_rayleigh_distribution(n_sources: int, dec: float) -> None:
    apart = separations(*night(20_000 // n_sources, n_sources, dec=dec))
    assert len(apart) == 20_000 // n_sources * n_sources
    assert apart.error_scale == pytest.approx(1.0, abs=0.03)
    # The mean square of the distribution is 2, and a fraction exp(-2) lies beyond 2.
    assert np.mean(apart.normalised**2) == pytest.approx(2.0, rel=0.05)
    assert np.mean(apart.normalised > 2.0) == pytest.approx(np.exp(-2.0), rel=0.1)
    assert apart.n_far == 0


@settings(max_examples=20)
@given(st.floats(0.2, 5.0), st.integers(0, 5))
def test_wrong_errors_tell_their_factor(scale, seed) -> None:
    assert separations(*night(2000, 5, scale=scale, seed=seed)).error_scale == pytest.approx(scale, rel=0.06)


def test_only_objects_of_two_sources_count() -> None:
    sources, objects = night(10, 1)
    assert len(separations(sources, objects)) == 0
    assert np.isnan(separations(sources, objects).error_scale)


def test_sources_without_an_object_or_an_error_are_left_out() -> None:
    sources, objects = night(3, 2)
    owner = sources["diaObjectId"].to_pylist()
    error = sources["raErr"].to_pylist()
    owner[0], owner[1], error[2], error[3] = None, 7, None, 0.0
    changed = sources.set_column(0, "diaObjectId", pa.array(owner, pa.int64()))
    changed = changed.set_column(3, "raErr", pa.array(error, pa.float32()))
    assert separations(changed, objects).row.tolist() == [4, 5]
    assert len(separations(sources, objects.slice(0, 0))) == 0
    assert len(separations(sources.slice(0, 0), objects)) == 0


def test_separations_are_in_arcseconds() -> None:
    sources = pa.table({"diaObjectId": [1], "ra": [359.9999], "dec": [60.0], "raErr": [1e-5], "decErr": [1e-5]})
    objects = pa.table({"diaObjectId": [1], "ra": [0.0001], "dec": [60.0], "nDiaSources": [2]})
    apart = separations(sources, objects)
    assert apart.arcsec[0] == pytest.approx(0.36, rel=1e-3)
    assert apart.normalised[0] == pytest.approx(2e-4 / (1e-5 / np.sqrt(2.0)), rel=1e-3)


def test_the_curve_is_a_density() -> None:
    x = np.linspace(0.0, 20.0, 20_001)
    assert np.trapezoid(rayleigh(x), x) == pytest.approx(1.0)
