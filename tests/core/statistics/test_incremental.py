"""Incremental equals batch: however the points come, the statistics are those of one exact recomputation."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.states import ObjectHistories, ObjectStates, SourcePoints
from stream_assoc.core.model.types import BANDS
from stream_assoc.core.statistics import ALL_PLUGINS, StatisticsCalculator

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]
Histories = Callable[[SourcePoints, Sequence[int]], ObjectHistories]
Row = tuple[float, float, float, int]

CALCULATOR = StatisticsCalculator(ALL_PLUGINS)


def recomputed(rows: Sequence[Row]) -> dict[str, float]:
    """Every statistic of one object, from scratch and by exact arithmetic where rounding could matter."""
    values: dict[str, float] = {"nDiaSources": len(rows)}
    for index, band in enumerate(BANDS):
        points: list[tuple[float, ...]] = sorted(row[:3] for row in rows if row[3] == index)
        if points:
            values |= {f"{band}_{name}": value for name, value in recomputed_in_one_band(points).items()}
    return values


def recomputed_in_one_band(points: list[tuple[float, ...]]) -> dict[str, float]:
    time, flux, error = (list(column) for column in zip(*points, strict=True))
    weights = [Fraction(e**-2) for e in error]
    total = sum(weights)
    mean = sum(w * Fraction(f) for w, f in zip(weights, flux, strict=True)) / total
    sigma, skew = exact_moments(flux)
    return {
        "psfFluxMean": float(mean),
        "psfFluxMeanErr": float(total) ** -0.5,
        "psfFluxNdata": len(flux),
        "psfFluxChi2": float(sum(w * (Fraction(f) - mean) ** 2 for w, f in zip(weights, flux, strict=True))),
        "psfFluxSigma": sigma,
        "psfFluxSkew": skew,
        "psfFluxMin": min(flux),
        "psfFluxMax": max(flux),
        "psfFluxErrMean": math.fsum(error) / len(error),
        "psfFluxMAD": float(np.median(np.abs(np.array(flux) - np.median(flux)))),
        "psfFluxMaxSlope": steepest_rise(time, flux),
        **{f"psfFluxPercentile{p:02d}": float(np.percentile(flux, p)) for p in (5, 25, 50, 75, 95)},
        **exact_line(time, flux, weights),
        "psfFluxStetsonJ": stetson_j(np.array(flux) - float(mean), np.array(error), float(mean)),
        # The science flux and its error are twice the other ones.
        "scienceFluxMean": 2.0 * float(mean),
        "scienceFluxMeanErr": 2.0 * float(total) ** -0.5,
        "scienceFluxSigma": 2.0 * sigma,
    }


def exact_moments(flux: list[float]) -> tuple[float, float]:
    n = len(flux)
    if n < 2:
        return math.nan, math.nan
    mean = sum(map(Fraction, flux)) / n
    m2 = sum((Fraction(f) - mean) ** 2 for f in flux)
    m3 = sum((Fraction(f) - mean) ** 3 for f in flux)
    sigma = math.sqrt(m2 / (n - 1))
    if n < 3:
        return sigma, math.nan
    return sigma, n / ((n - 1) * (n - 2)) * float(m3) / sigma**3 if m2 else 0.0


def steepest_rise(time: list[float], flux: list[float]) -> float:
    epochs = {t: [f for t2, f in zip(time, flux, strict=True) if t2 == t] for t in time}
    return max(
        ((max(epochs[b]) - min(epochs[a])) / (b - a) for a, b in itertools.pairwise(sorted(epochs))),
        default=math.nan,
    )


def exact_line(time: list[float], flux: list[float], weights: list[Fraction]) -> dict[str, float]:
    slope = intercept = math.nan
    if len(set(time)) > 1:
        t, f = [Fraction(x) for x in time], [Fraction(x) for x in flux]
        total = sum(weights)
        mean_t = sum(w * x for w, x in zip(weights, t, strict=True)) / total
        mean_f = sum(w * x for w, x in zip(weights, f, strict=True)) / total
        rise = sum(w * (x - mean_t) * y for w, x, y in zip(weights, t, f, strict=True))
        exact = rise / sum(w * (x - mean_t) ** 2 for w, x in zip(weights, t, strict=True))
        slope, intercept = float(exact), float(mean_f - exact * mean_t)
    elif len(time) > 1:
        # All at one time: the line of least norm, as a least-squares solver gives it.
        mean = float(sum(w * Fraction(x) for w, x in zip(weights, flux, strict=True)) / sum(weights))
        slope, intercept = mean * time[0] / (time[0] ** 2 + 1.0), mean / (time[0] ** 2 + 1.0)
    return {"psfFluxLinearSlope": slope, "psfFluxLinearIntercept": intercept}


def stetson_j(residual: np.ndarray, error: np.ndarray, level: float) -> float:
    """Stetson's J of residuals about the weighted mean ``level``, by upstream's rule of when to stop."""
    n = len(residual)
    if n < 2:
        return math.nan
    stretch, mean = math.sqrt(n / (n - 1)), 0.0
    for _ in range(20):
        previous = mean
        weight = 1.0 / (error**2 * (1.0 + (stretch * (residual - mean) / error / 2.0) ** 2))
        mean = float(np.sum(weight * residual) / np.sum(weight))
        change = abs(mean - previous)
        # Relative to the mean with its sign, so that below zero the second condition always holds.
        if change < 1e-6 and level + mean != 0.0 and change / (level + mean) < 1e-6:
            break
    pull = (stretch * (residual - mean) / error) ** 2 - 1.0
    return float(np.mean(np.sign(pull) * np.sqrt(np.abs(pull))))


def assert_recomputed(states: ObjectStates, row: int, rows: Sequence[Row]) -> None:
    statistics = CALCULATOR.statistics(states)
    for name, wanted in recomputed(rows).items():
        own = [one for one in rows if name.startswith(f"{BANDS[one[3]]}_")]
        assert statistics[name][row] == pytest.approx(wanted, nan_ok=True, **tolerance(name, own)), name
    empty = set(range(6)) - {r[3] for r in rows}
    assert all(np.isnan(statistics[f"{BANDS[band]}_psfFluxMean"][row]) for band in empty)


def tolerance(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """Relative 1e-9 for moments, 1e-6 for skew and line; absolute: the same part of what rounds the value."""
    if name.endswith(("Skew", "StetsonJ")):
        return {"rel": 1e-6, "abs": 1e-6}
    if "Linear" in name:
        times, fluxes = [row[0] for row in rows], [row[1] for row in rows]
        slope = (max(fluxes) - min(fluxes) + 1.0) / (max(times) - min(times) or 1.0)
        return {"rel": 1e-6, "abs": 1e-6 * slope * (1.0 if name.endswith("Slope") else 6e4)}
    if name.endswith("Mean"):
        return {"rel": 1e-9, "abs": 1e-9}
    return {"rel": 1e-9, "abs": 0.0 if name.endswith("Sigma") else 1e-12}


def fold(histories_of: Histories, points: SourcePoints, n_at_once: int) -> ObjectStates:
    """Fold one object's points: the first ones at once, the others one at a time."""
    first = histories_of(points.take(np.arange(n_at_once)), [n_at_once])
    states = CALCULATOR.rebuild(first)
    for row in range(n_at_once, len(points)):
        states = CALCULATOR.update(states, points.take(np.array([row])), 61000.0)
    return states


@st.composite
def light_curves(draw: st.DrawFn) -> list[Row]:
    """Up to a dozen points, near zero or at ten million sigma, over years or within a tenth of a day."""
    level = draw(st.sampled_from([0.0, 1e7, -1e7]))
    span = draw(st.sampled_from([0.1, 3650.0]))
    point = st.tuples(
        st.integers(0, 64), st.integers(-48, 48), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([1, 4])
    )
    drawn = draw(st.lists(point, min_size=1, max_size=12))
    return [(60000.0 + span * (t / 64), level + step / 16, error, band) for t, step, error, band in drawn]


@given(light_curves(), st.data())
@settings(max_examples=80, deadline=None)
def test_any_order_of_arrival(
    points_of: Points, histories_of: Histories, rows: list[Row], data: st.DataObject
) -> None:
    arriving = data.draw(st.permutations(rows))
    n_at_once = data.draw(st.integers(0, len(rows)))
    assert_recomputed(fold(histories_of, points_of(arriving), n_at_once), 0, rows)


def test_stetson_j_stops_early_below_zero(points_of: Points, histories_of: Histories) -> None:
    steps = [(-0.1875, 2.0), (0.6875, 0.5), (-0.75, 1.0), (-0.75, 2.0), (-2.0625, 2.0)]
    rows = [(60000.0, -1e7 + step, error, 1) for step, error in [*steps, *steps]]
    assert_recomputed(fold(histories_of, points_of(rows), 0), 0, rows)


@given(light_curves(), st.data())
@settings(max_examples=40, deadline=None)
def test_equal_points_count_each(
    points_of: Points, histories_of: Histories, rows: list[Row], data: st.DataObject
) -> None:
    twice = data.draw(st.permutations([*rows, *rows]))
    assert_recomputed(fold(histories_of, points_of(twice), 0), 0, twice)


@given(light_curves(), st.data())
@settings(max_examples=40, deadline=None)
def test_removed_points_leave_no_trace(
    points_of: Points, histories_of: Histories, rows: list[Row], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    points = points_of(rows).take(np.array(kept))
    states = CALCULATOR.rebuild(histories_of(points, [len(points)]))
    left = [row for row, stays in zip(rows, kept, strict=True) if stays]
    assert_recomputed(states, 0, left)
    never = fold(histories_of, points, 0)
    assert states.object_fields.tobytes() == never.object_fields.tobytes()
    assert states.band_fields.tobytes() == never.band_fields.tobytes()


@given(st.lists(light_curves(), min_size=1, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_a_fold_may_be_cut_anywhere(
    points_of: Points, histories_of: Histories, objects: list[list[Row]], data: st.DataObject
) -> None:
    cuts = [data.draw(st.integers(0, len(rows))) for rows in objects]

    def histories(parts: list[list[Row]]) -> ObjectHistories:
        return histories_of(points_of([row for rows in parts for row in rows]), [len(rows) for rows in parts])

    begun = CALCULATOR.rebuild(histories([rows[:cut] for rows, cut in zip(objects, cuts, strict=True)]))
    rest = histories([rows[cut:] for rows, cut in zip(objects, cuts, strict=True)])
    once, twice = CALCULATOR.rebuild(histories(objects)), CALCULATOR.rebuild(rest, begun)
    # The position is that of the place in the list, which the parts do not share.
    place = [not name.startswith("ap_meanPosition") for name in CALCULATOR.object_field_names]
    assert twice.object_fields[:, place].tobytes() == once.object_fields[:, place].tobytes()
    assert twice.band_fields.tobytes() == once.band_fields.tobytes()
    for name in ("offsets", *once.curves.COLUMNS):
        assert getattr(twice.curves, name).tobytes() == getattr(once.curves, name).tobytes()


def test_states_of_other_objects_are_not_folded_on(points_of: Points, histories_of: Histories) -> None:
    rows: list[Row] = [(60000.0, 1.0, 1.0, 1)]
    two = CALCULATOR.rebuild(histories_of(points_of(rows * 2), [1, 1]))
    with pytest.raises(ValueError, match="not those of the objects"):
        CALCULATOR.rebuild(histories_of(points_of(rows), [1]), two)


def test_a_thousand_updates(points_of: Points, histories_of: Histories) -> None:
    generator = np.random.default_rng(17)
    n_updates = 1000
    light_curves = []
    for level, span in itertools.product((0.0, 1e7), (0.1, 3650.0)):
        # In any order of time, so that most points come late.
        time = 60000.0 + span * generator.random(n_updates)
        error = generator.uniform(0.5, 2.0, n_updates)
        trend = 20.0 * (time - 60000.0) / span
        flux = level + trend + error * generator.gamma(2.0, size=n_updates)
        light_curves.append([(t, f, e, 2) for t, f, e in zip(time, flux, error, strict=True)])
    nothing = histories_of(points_of([]), [0] * len(light_curves))
    states = CALCULATOR.rebuild(nothing)
    for visit in zip(*light_curves, strict=True):
        states = CALCULATOR.update(states, points_of(visit), 61000.0)
    for index, rows in enumerate(light_curves):
        assert_recomputed(states, index, rows)


BROKEN = [
    {"psfFlux": math.nan},
    {"psfFlux": math.inf},
    {"psfFluxErr": 0.0},
    {"psfFluxErr": -1.0},
    {"psfFluxErr": math.nan},
    {"scienceFlux": math.inf},
    {"scienceFluxErr": 0.0},
    {"midpointMjdTai": math.nan},
    {"ra": math.nan},
    {"ra": math.inf},
    {"dec": 95.0},
    {"dec": math.nan},
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_source_changes_no_other_object(
    points_of: Points, histories_of: Histories, broken: dict[str, float]
) -> None:
    states = CALCULATOR.rebuild(histories_of(points_of([(60000 + t, t * t, 1.0, 1) for t in range(9)]), [3, 3, 3]))
    good = points_of([(60010, 5.0, 1.0, 1)] * 3)
    columns = {name: getattr(good, name).copy() for name in broken}
    for name, value in broken.items():
        columns[name][1] = value
    after_good = CALCULATOR.update(states, good, 61000.0)
    after_bad = CALCULATOR.update(states, dataclasses.replace(good, **columns), 61000.0)
    for row in (0, 2):
        assert after_bad.object_fields[row].tobytes() == after_good.object_fields[row].tobytes()
        assert after_bad.band_fields[row].tobytes() == after_good.band_fields[row].tobytes()
    statistics = CALCULATOR.statistics(after_bad)
    for name in ("ra", "dec", "g_psfFluxMean", "g_psfFluxChi2", "g_psfFluxLinearSlope", "g_scienceFluxMean"):
        assert np.isfinite(statistics[name][1]), name
