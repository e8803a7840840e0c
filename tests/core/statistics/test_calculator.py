import copy
import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.states import LightCurves, ObjectHistories, ObjectStates, SourcePoints
from stream_assoc.core.statistics import ALL_PLUGINS, StatisticsCalculator

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]
Histories = Callable[[SourcePoints, Sequence[int]], ObjectHistories]
Row = tuple[float, float, float, int]

times = st.sampled_from([60000.0, 60000.25, 60001.0, 60010.5]) | st.floats(59000, 62000) | st.just(math.nan)
fluxes = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, math.nan, math.inf, -math.inf])
errors = st.floats(0.125, 1e4, width=32) | st.sampled_from([0.0, -1.0, math.nan, math.inf])
light_curves = st.lists(st.tuples(times, fluxes, errors, st.integers(0, 5)), min_size=1, max_size=10)


def start(calculator: StatisticsCalculator, like: ObjectHistories) -> ObjectStates:
    return calculator.new_states(like.diaObjectId, like.raErr, like.decErr, like.ra_dec_Cov)


def same_bits(one: ObjectStates, other: ObjectStates) -> bool:
    def arrays(states: ObjectStates) -> list[bytes]:
        parts = [getattr(states, name) for name in states.__slots__ if name != "curves"]
        parts += [getattr(states.curves, name) for name in ("offsets", *LightCurves.COLUMNS)]
        return [part.tobytes() for part in parts]

    return arrays(one) == arrays(other)


@given(st.lists(light_curves, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_rebuild_gives_the_bits_of_the_incremental_way(
    points_of: Points, histories_of: Histories, sky: list[list[Row]]
) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    together = calculator.rebuild(
        histories_of(points_of([row for curve in sky for row in curve]), list(map(len, sky)))
    )
    for index, curve in enumerate(sky):
        all_points = points_of([row for other in sky for row in other])
        first = sum(len(other) for other in sky[:index])
        alone = start(calculator, histories_of(points_of(curve), [len(curve)]))
        for row in range(first, first + len(curve)):
            alone = calculator.update(alone, all_points.take(np.array([row])), 61000.0)
        assert alone.object_fields.tobytes() == together.object_fields[index].tobytes()
        assert alone.band_fields.tobytes() == together.band_fields[index].tobytes()


def test_many_objects_at_once_and_from_read_only_arrays(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    generator = np.random.default_rng(5)
    n, visits = 50, 12
    epochs = [
        points_of(
            np.column_stack(
                [
                    generator.choice(np.arange(60000.0, 60008.0), n),
                    generator.normal(100, 30, n).astype(np.float32),
                    generator.uniform(5, 50, n).astype(np.float32),
                    generator.integers(0, 3, n),
                ]
            ).tolist()
        )
        for _ in range(visits)
    ]
    history = [points.take(np.array([row])) for row in range(n) for points in epochs]
    points = SourcePoints(*(np.concatenate([getattr(p, name) for p in history]) for name in SourcePoints.__slots__))
    histories = histories_of(points, [visits] * n)
    states = start(calculator, histories)
    for epoch in epochs:
        for name in SourcePoints.__slots__:
            getattr(epoch, name).flags.writeable = False
        states = calculator.update(states, epoch, 61000.0)
    assert same_bits(states, calculator.rebuild(histories))


def test_update_does_not_touch_what_it_is_given(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    states = calculator.rebuild(histories_of(points_of([(60000, 1, 1, 0), (60001, 2, 1, 0)]), [1, 1]))
    before = copy.deepcopy(states)
    updated = calculator.update(states, points_of([(60002, 3, 1, 0), (60003, 4, 1, 1)]), 62000.0)
    assert same_bits(states, before)
    assert updated.validityStartMjdTai.tolist() == [62000.0, 62000.0]


def test_in_place_an_update_gives_the_same_bits(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    rows = [(60000, 1, 1, 0), (60001, 2, 1, 1), (60000, 3, 1, 0)]
    states = calculator.rebuild(histories_of(points_of(rows), [2, 1]))
    points = points_of([(60002, 3, 1, 0), (60003, 4, 1, 1)])
    wanted = calculator.update(states, points, 62000.0)
    updated = calculator.update(states, points, 62000.0, in_place=True)
    assert same_bits(updated, wanted)
    assert updated.band_fields is states.band_fields


def test_a_broken_source_harms_only_itself(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    good = [(60000.0 + t, 10.0 + t * t, 2.0, 1) for t in range(6)]
    broken = [(math.nan, math.nan, math.nan, 1), (math.inf, math.inf, 0.0, 1), (60002.5, -math.inf, math.inf, 1)]
    mixed = points_of([*good[:3], *broken, *good[3:], *good])
    mixed.ra[3], mixed.dec[4] = math.nan, 95.0
    states = calculator.rebuild(histories_of(mixed, [9, 6]))
    values = calculator.statistics(states)
    for name, column in values.items():
        if name.startswith("g_") and name != "g_psfFluxErrMean":
            assert column[0] == pytest.approx(column[1], rel=1e-12), name
    assert np.isfinite(values["ra"]).all()
    assert values["nDiaSources"].tolist() == [9, 6]


def test_nothing_at_all(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    states = calculator.rebuild(histories_of(points_of([]), []))
    states = calculator.update(states, points_of([]), 61000.0)
    assert len(states) == len(calculator.positions(states)) == 0
    assert calculator.object_rows(states).num_rows == calculator.further_rows(states).num_rows == 0


def test_new_states_have_no_source(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator()
    states = start(calculator, histories_of(points_of([]), [0, 0]))
    positions = calculator.positions(states)
    assert positions.nDiaSources.tolist() == [0, 0]
    assert np.isnan(positions.ra).all()
    assert states.object_fields.shape == (2, calculator.n_object_fields)
    assert states.band_fields.shape == (2, 6, calculator.n_band_fields)


def test_the_layout_tells_plugins_apart() -> None:
    layouts = {StatisticsCalculator(plugins).layout for plugins in ((), ("ap_meanFlux",), ("ap_meanTotFlux",))}
    assert len(layouts) == 3
    assert StatisticsCalculator().layout == StatisticsCalculator().layout


def test_a_wrong_number_of_points_is_refused(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator()
    states = start(calculator, histories_of(points_of([]), [0, 0]))
    with pytest.raises(ValueError, match="1 points for 2 states"):
        calculator.update(states, points_of([(60000, 1, 1, 0)]), 61000.0)


def test_states_of_other_plugins_are_refused(points_of: Points, histories_of: Histories) -> None:
    states = start(StatisticsCalculator(), histories_of(points_of([]), [0]))
    with pytest.raises(ValueError, match="other plugins"):
        StatisticsCalculator(()).update(states, points_of([(60000, 1, 1, 0)]), 61000.0)


def test_two_plugins_for_one_column_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from stream_assoc.core.statistics import registry
    from stream_assoc.core.statistics.moments import SigmaFlux

    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    registry.register(SigmaFlux("my_sigma", "psfFlux"))
    with pytest.raises(PluginError, match="'ap_sigmaFlux' and 'my_sigma' both compute u_psfFluxSigma"):
        StatisticsCalculator(("ap_sigmaFlux", "my_sigma"))


def test_positions_carry_the_identity_of_the_states(points_of: Points, histories_of: Histories) -> None:
    calculator = StatisticsCalculator()
    histories = histories_of(points_of([(60000, 1, 1, 0), (60001, 1, 1, 0), (60002, 1, 1, 0)]), [2, 1])
    positions = calculator.positions(calculator.rebuild(histories))
    assert np.array_equal(positions.diaObjectId, histories.diaObjectId)
    assert np.array_equal(positions.raErr, histories.raErr)
    assert positions.nDiaSources.dtype == np.int32
    assert positions.nDiaSources.tolist() == [2, 1]
    assert dataclasses.is_dataclass(positions)


def test_every_field_has_a_name_of_its_own() -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    for names, width in (
        (calculator.object_field_names, calculator.n_object_fields),
        (calculator.band_field_names, calculator.n_band_fields),
    ):
        assert len(set(names)) == width
        assert all(name.partition(".")[0] and name.partition(".")[2] for name in names)


WITHOUT_HISTORY = (
    "ap_meanFlux",
    "ap_sigmaFlux",
    "ap_skewFlux",
    "ap_chi2Flux",
    "ap_minMaxFlux",
    "ap_meanErrFlux",
    "ap_meanTotFlux",
    "ap_sigmaTotFlux",
    "ap_linearFit",
    "ap_diaObjectFlag",
)


def test_no_light_curve_is_kept_where_no_plugin_needs_one(points_of: Points, histories_of: Histories) -> None:
    few, all_of_them = StatisticsCalculator(WITHOUT_HISTORY), StatisticsCalculator(ALL_PLUGINS)
    rows = [(60000.0 + i, float((-3) ** (i % 7)), 1.0 + i % 3, i % 3) for i in range(40)]
    history = histories_of(points_of(rows[:30]), [30])
    lean, whole = few.rebuild(history), all_of_them.rebuild(history)
    for row in rows[30:]:
        lean, whole = (
            few.update(lean, points_of([row]), 61000.0),
            all_of_them.update(whole, points_of([row]), 61000.0),
        )
    wanted = all_of_them.statistics(whole)
    statistics = few.statistics(lean)
    assert {f"g_{name}" for name in ("psfFluxMean", "psfFluxSkew", "psfFluxLinearSlope")} <= set(statistics)
    assert all(np.array_equal(values, wanted[name], equal_nan=True) for name, values in statistics.items())
    assert len(whole.curves.psfFlux) == len(rows)
    assert len(lean.curves.psfFlux) == 0
    assert lean.curves.n_slots == whole.curves.n_slots
    again = few.rebuild(histories_of(points_of(rows), [40]))
    assert again.band_fields.tobytes() == lean.band_fields.tobytes()
