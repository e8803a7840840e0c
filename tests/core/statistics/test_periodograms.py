"""Periodograms against upstream's values, and as states that grow."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.states import ObjectHistories, SourcePoints
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.statistics import StatisticsCalculator
from stream_assoc.core.statistics.periodograms import best_common_period, best_period, false_alarm_probability
from stream_assoc.core.statistics.registry import OPTIONAL_PLUGINS

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]
Histories = Callable[[SourcePoints, Sequence[int]], ObjectHistories]


def rows_of_period(period: float, n: int, bands: Sequence[int]) -> list[tuple[float, float, float, int]]:
    time = 60000.0 + np.sort(np.random.default_rng(3).uniform(0.0, 40.0, n))
    return [
        (t, 100 + 50 * math.sin(2 * math.pi * t / period), 1.0, bands[i % len(bands)]) for i, t in enumerate(time)
    ]


@pytest.mark.parametrize(
    ("plugin", "table"),
    [
        ("ap_lombScarglePeriodogram", "expected_lombscargle"),
        ("ap_lombScarglePeriodogramMulti", "expected_lombscargle_multi"),
    ],
)
def test_upstreams_values(
    golden: Callable[[str], pa.Table], golden_histories: Callable[[bool], ObjectHistories], plugin: str, table: str
) -> None:
    expected = golden(table).sort_by("diaObjectId")
    histories = golden_histories(False)
    chosen = np.flatnonzero(np.isin(histories.diaObjectId, expected["diaObjectId"].to_numpy()))
    rows = np.concatenate([np.arange(*histories.offsets[i : i + 2]) for i in chosen])
    counts = np.diff(histories.offsets)[chosen]
    wanted_only = dataclasses.replace(
        histories,
        diaObjectId=histories.diaObjectId[chosen],
        validityStartMjdTai=histories.validityStartMjdTai[chosen],
        raErr=histories.raErr[chosen],
        decErr=histories.decErr[chosen],
        ra_dec_Cov=histories.ra_dec_Cov[chosen],
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        points=histories.points.take(rows),
    )
    calculator = StatisticsCalculator((plugin,))
    statistics = calculator.statistics(calculator.rebuild(wanted_only))
    for name in set(expected.column_names) - {"diaObjectId"}:
        # A false-alarm probability is what a power close to 1 leaves to 1.
        tolerance = 1e-8 if name == "multiFap" else 1e-9
        np.testing.assert_allclose(statistics[name], expected[name].to_numpy(), rtol=tolerance, err_msg=name)


def test_a_growing_state_has_the_bits_of_a_rebuild(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(OPTIONAL_PLUGINS)
    points = points_of(rows_of_period(3.7, 12, [1, 3]))
    states = calculator.rebuild(histories_of(points.take(np.arange(8)), [8]))
    assert np.isnan(calculator.statistics(states)["multiPeriod"][0])
    for row in range(8, 12):
        states = calculator.update(states, points.take(np.array([row])), 61000.0)
    rebuilt = calculator.rebuild(histories_of(points, [12]))
    assert states.object_fields.tobytes() == rebuilt.object_fields.tobytes()
    assert states.band_fields.tobytes() == rebuilt.band_fields.tobytes()
    assert np.isfinite(calculator.statistics(states)["multiPeriod"][0])


def test_the_period_is_found() -> None:
    time, flux, error, band = np.array(rows_of_period(3.7, 40, [1, 3])).T
    period, power = best_period(time, flux, error)
    assert period == pytest.approx(3.7, rel=0.01)
    assert 0.95 < power <= 1.0
    values = best_common_period(time, flux, error, band.astype(np.int64))
    assert values[0] == pytest.approx(3.7, rel=0.01)
    assert 0.0 <= values[2] < 1e-10
    assert np.isnan(values[3:]).reshape(6, 2).all(axis=1).tolist() == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    "broken", [(math.nan, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, 0.0), (1.0, 1.0, math.nan)]
)
def test_unusable_points_are_left_out(broken: tuple[float, float, float]) -> None:
    time, flux, error, band = np.array(rows_of_period(3.7, 12, [1, 3])).T
    more_time, more_flux, more_error = (
        np.append(column, value) for column, value in zip((time, flux, error), broken, strict=True)
    )
    assert best_period(more_time, more_flux, more_error) == best_period(time, flux, error)
    with_it = best_common_period(more_time, more_flux, more_error, np.append(band, 5).astype(np.int64))
    np.testing.assert_array_equal(with_it, best_common_period(time, flux, error, band.astype(np.int64)))


def test_what_has_no_period() -> None:
    n = 10
    time, one, band = np.arange(60000.0, 60000.0 + n), np.ones(n), np.zeros(n, np.int64)
    cases: list[tuple[FloatArray, FloatArray, int]] = [(time, one, n), (time * 0, time, n), (time, np.sin(time), 4)]
    for t, f, count in cases:
        assert np.isnan(best_period(t[:count], f[:count], one[:count])).all()
        assert np.isnan(best_common_period(t[:count], f[:count], one[:count], band[:count])).all()


def test_false_alarm_probability_is_upstreams() -> None:
    time = 60000.0 + np.array([0.0, 1.0, 3.0, 4.0, 7.0, 8.0, 9.5, 11.0, 15.0])
    for n in (8, 9):
        gamma = math.factorial(int((n - 1) / 2)) / math.factorial(int((n - 2) / 2))
        spread = math.sqrt(4 * math.pi * np.var(time[:n], ddof=1))
        wanted = gamma * spread * 0.5 * 0.4 ** ((n - 4) / 2) * math.sqrt(0.6)
        assert false_alarm_probability(time[:n], 0.5, 0.6) == pytest.approx(wanted, rel=1e-12)
    assert false_alarm_probability(time, 0.5, 1.0 + 1e-15) == 0.0
