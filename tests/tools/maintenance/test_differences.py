"""How differences between tables of objects are told."""

from dataclasses import replace

import numpy as np
import pytest

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import LightCurves, ObjectHistories, SourcePoints
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.tools.maintenance.differences import compare_positions, compare_states, compare_tiles, widen

BIG = 2**60 + 1
CALCULATOR = StatisticsCalculator()


def catalogue(n=4):
    return ObjectPositions(
        np.arange(n) * 2 + BIG,
        np.linspace(10.0, 11.0, n),
        np.linspace(-5.0, -4.0, n),
        np.full(n, np.nan, np.float32),
        np.full(n, 1e-5, np.float32),
        np.full(n, 60000.5),
        np.ones(n, np.int32),
    )


def some_states(lengths=(3, 1, 5)):
    random = np.random.default_rng(3)
    n = sum(lengths)
    flux, error = (values.astype(np.float32).astype(np.float64) for values in random.uniform(1.0, 9.0, (2, n)))
    spread = np.full(len(lengths), 1e-5, np.float32)
    return CALCULATOR.rebuild(
        ObjectHistories(
            np.arange(len(lengths)) + BIG,
            np.full(len(lengths), 60000.5),
            spread,
            spread,
            spread,
            np.concatenate([[0], np.cumsum(lengths)]),
            SourcePoints(
                random.uniform(10.0, 10.001, n),
                random.uniform(-5.0, -4.999, n),
                60000.0 + np.arange(n),
                flux,
                error,
                flux,
                error,
                np.arange(n) % 6,
                np.zeros(n, np.bool_),
            ),
        )
    )


def test_the_same_is_the_same_also_where_it_is_nan() -> None:
    assert compare_tiles(catalogue(), catalogue()) == {}
    assert compare_states(some_states(), some_states(), CALCULATOR).drift == {}


def test_the_sign_of_zero_is_no_difference() -> None:
    ours, theirs = (replace(catalogue(), dec=np.full(4, zero)) for zero in (0.0, -0.0))
    assert compare_positions(ours, theirs).drift == {}


def test_the_last_bit_is_a_difference() -> None:
    ours = catalogue()
    moved = ours.ra.copy()
    moved[2] = np.nextafter(moved[2], 360.0)
    differences = compare_positions(replace(ours, ra=moved), ours)
    assert differences.rows.tolist() == [False, False, True, False]
    assert differences.drift == {"ra": moved[2] - ours.ra[2]}


def test_a_number_against_nan_is_infinitely_different() -> None:
    ours = catalogue()
    errors = ours.raErr.copy()
    errors[1] = 1e-5
    differences = compare_positions(ours, replace(ours, raErr=errors))
    assert differences.rows.tolist() == [False, True, False, False]
    assert differences.drift == {"raErr": np.inf}


def test_objects_of_one_side_only_are_counted_and_the_others_compared() -> None:
    ours, theirs = catalogue().take(np.array([0, 1, 3])), catalogue().take(np.array([1, 2, 3]))
    assert compare_tiles(ours, theirs) == {"objects": 2.0}
    shifted = replace(theirs, dec=theirs.dec + 0.25)
    assert compare_tiles(ours, shifted) == {"objects": 2.0, "dec": pytest.approx(0.25)}


def test_an_accumulator_is_named_by_its_plugin_and_band() -> None:
    theirs = some_states()
    objects, bands = theirs.object_fields.copy(), theirs.band_fields.copy()
    objects[1, 0] += 0.5
    bands[2, 3, 1] += 0.25
    differences = compare_states(replace(theirs, object_fields=objects, band_fields=bands), theirs, CALCULATOR)
    assert differences.rows.tolist() == [False, True, True]
    assert differences.drift == {
        CALCULATOR.object_field_names[0]: pytest.approx(0.5),
        f"i_{CALCULATOR.band_field_names[1]}": pytest.approx(0.25),
    }


def test_a_changed_point_of_a_light_curve_belongs_to_its_object() -> None:
    theirs = some_states()
    flux = theirs.curves.psfFlux.copy()
    flux[-1] += 2.0
    ours = replace(theirs, curves=replace(theirs.curves, psfFlux=flux))
    differences = compare_states(ours, theirs, CALCULATOR)
    assert differences.rows.tolist() == [False, False, True]
    assert differences.drift == {"light curve psfFlux": pytest.approx(2.0)}


def test_light_curves_of_unequal_length_are_told_by_length_alone() -> None:
    theirs = some_states()
    curves = theirs.curves
    columns = {name: getattr(curves, name)[:-1] for name in LightCurves.COLUMNS}
    n_points = len(curves.psfFlux) - 1
    ours = replace(theirs, curves=LightCurves(np.minimum(curves.offsets, n_points), **columns))
    differences = compare_states(ours, theirs, CALCULATOR)
    assert differences.rows.tolist() == [False, False, True]
    assert differences.drift == {"light curve points": 1.0}


def test_the_larger_drift_wins() -> None:
    drift = {"ra": 1.0, "dec": 2.0}
    widen(drift, {"ra": 3.0, "dec": 1.0, "raErr": 0.5})
    assert drift == {"ra": 3.0, "dec": 2.0, "raErr": 0.5}
