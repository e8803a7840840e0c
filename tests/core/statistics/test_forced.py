"""The mean of forced sources: what counts, in whatever portions it comes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.types import BANDS
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.registry import FORCED_PLUGIN, PRODUCTION_PLUGINS
from stream_assoc.pipeline.ports.photometry import no_forced_sources

BIG = 2**60
CALCULATOR = StatisticsCalculator((*PRODUCTION_PLUGINS, FORCED_PLUGIN))
IDS = BIG + np.array([5, 1, 3])
"""In no order."""


def states():
    errors = np.full(3, 1e-5, np.float32)
    return CALCULATOR.new_states(IDS, errors, errors, errors)


def points(*rows):
    """Return points of (object, band, flux, error)."""
    identifier, band, flux, error = zip(*rows, strict=True) if rows else ((), (), (), ())
    return ForcedPoints(
        BIG + np.array(identifier, np.int64),
        np.arange(len(rows), dtype=np.float64),
        np.array(flux, np.float64),
        np.array(error, np.float64),
        np.array([BANDS.index(name) for name in band], np.int64),
    )


def test_the_mean_is_weighted_and_of_one_band_and_object() -> None:
    folded = CALCULATOR.fold_forced(
        states(), points((1, "g", 10.0, 1.0), (5, "g", 7.0, 2.0), (1, "r", 1.0, 1.0), (1, "g", 20.0, 2.0))
    )
    values = CALCULATOR.statistics(folded)
    assert values["g_fpFluxMean"] == pytest.approx([7.0, 12.0, np.nan], nan_ok=True)
    assert values["g_fpFluxMeanErr"] == pytest.approx([2.0, 1.25**-0.5, np.nan], nan_ok=True)
    assert values["r_fpFluxMean"] == pytest.approx([np.nan, 1.0, np.nan], nan_ok=True)
    assert np.isnan(values["y_fpFluxMean"]).all()


@pytest.mark.parametrize(
    ("flux", "error"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, np.inf)]
)
def test_what_cannot_be_weighted_does_not_count(flux: float, error: float) -> None:
    values = CALCULATOR.statistics(CALCULATOR.fold_forced(states(), points((1, "g", flux, error))))
    assert np.isnan(values["g_fpFluxMean"]).all()
    assert np.isnan(values["g_fpFluxMeanErr"]).all()
    both = CALCULATOR.fold_forced(states(), points((1, "g", flux, error), (1, "g", 4.0, 1.0)))
    assert CALCULATOR.statistics(both)["g_fpFluxMean"][1] == 4.0


def test_measurements_of_other_objects_are_passed_over() -> None:
    before = states()
    after = CALCULATOR.fold_forced(before, points((2, "g", 1.0, 1.0), (99, "g", 1.0, 1.0), (0, "g", 1.0, 1.0)))
    assert after.band_fields.tobytes() == before.band_fields.tobytes()
    nobody = before.take(np.empty(0, np.int64))
    assert len(CALCULATOR.fold_forced(nobody, points((1, "g", 1.0, 1.0)))) == 0
    assert CALCULATOR.fold_forced(before, ForcedPoints.none()).band_fields.tobytes() == before.band_fields.tobytes()


row = st.tuples(
    st.sampled_from([1, 3, 5, 7]),
    st.sampled_from(["g", "r"]),
    st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    st.floats(0.125, 1e4, width=32),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(row, max_size=12), st.integers(0, 12))
def test_portions_give_the_bits_of_the_whole(rows, cut) -> None:
    whole = CALCULATOR.fold_forced(states(), points(*rows))
    before = states()
    half = CALCULATOR.fold_forced(before, points(*rows[:cut]))
    portions = CALCULATOR.fold_forced(half, points(*rows[cut:]))
    assert portions.band_fields.tobytes() == whole.band_fields.tobytes()
    assert before.band_fields.tobytes() == states().band_fields.tobytes(), "what was given is not changed"


def test_only_those_who_ask_for_it_count_forced_sources() -> None:
    assert CALCULATOR.folds_forced
    without = StatisticsCalculator(PRODUCTION_PLUGINS)
    assert not without.folds_forced
    assert without.layout != CALCULATOR.layout
    assert without.n_band_fields < CALCULATOR.n_band_fields


def test_rows_become_points() -> None:
    assert len(ForcedPoints.of(no_forced_sources())) == len(ForcedPoints.none()) == 0
    both = ForcedPoints.concatenate([points((1, "g", 1.0, 2.0)), points((2, "y", 3.0, 4.0))])
    assert both.band.tolist() == [1, 5]
    assert both.diaObjectId.tolist() == [BIG + 1, BIG + 2]
