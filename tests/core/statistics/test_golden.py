"""The numbers are upstream's: vectors computed by lsst.meas.base and ap_association themselves."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.states import ObjectHistories
from stream_assoc.core.model.types import BANDS, BoolArray
from stream_assoc.core.statistics import ALL_PLUGINS, StatisticsCalculator
from stream_assoc.core.statistics.registry import CORE_PLUGINS, find_plugin

Histories = Callable[[bool], ObjectHistories]
Golden = Callable[[str], pa.Table]

# Relative and absolute, as far as upstream's own arithmetic allows.
TOLERANCES = {
    "psfFluxLinearIntercept": (1e-9, 1e-3),
    "psfFluxLinearSlope": (1e-9, 1e-8),
    "psfFluxStetsonJ": (1e-6, 1e-6),
    "psfFluxChi2": (1e-9, 1e-12),
    "psfFluxErrMean": (2e-7, 0.0),
}


@pytest.fixture(scope="module")
def comparable_slopes(golden: Golden) -> BoolArray:
    """Tell the objects whose maximum slope does not hang on upstream's unstable sort."""
    meta = golden("meta").to_pandas().set_index("diaObjectId").sort_index()
    unstable: BoolArray = meta["category"].isin(["same_time", "pairwise_same_time"]).to_numpy()
    return ~unstable


def test_every_plugin_gives_upstreams_values(
    golden: Golden, golden_histories: Histories, comparable_slopes: BoolArray
) -> None:
    calculator = StatisticsCalculator(ALL_PLUGINS)
    states = calculator.rebuild(golden_histories(False))
    statistics = calculator.statistics(states)
    expected = golden("expected").sort_by("diaObjectId")
    assert np.array_equal(states.diaObjectId, expected["diaObjectId"].to_numpy())

    compared = set()
    for name in statistics.keys() & set(expected.column_names):
        values, wanted = statistics[name], expected[name].to_numpy().astype(np.float64)
        if name in ("ra", "dec"):
            continue
        if name.endswith("Ndata"):
            # The APDB's column is NOT NULL: no source is 0 points.
            wanted = np.nan_to_num(wanted)
        if name.endswith("MaxSlope"):
            values, wanted = values[comparable_slopes], wanted[comparable_slopes]
        relative, absolute = TOLERANCES.get(name[2:], (1e-9, 0.0))
        np.testing.assert_allclose(values, wanted, rtol=relative, atol=absolute, err_msg=name)
        compared.add(name)
    assert compared | {"ra", "dec", "pixelId", "diaObjectId"} == set(expected.column_names)


def test_positions_and_pixels_are_upstreams(golden: Golden, golden_histories: Histories) -> None:
    calculator = StatisticsCalculator()
    states = calculator.rebuild(golden_histories(False))
    positions = calculator.positions(states)
    expected = golden("expected").sort_by("diaObjectId")
    ra, dec = expected["ra"].to_numpy(), expected["dec"].to_numpy()
    east = ((positions.ra - ra + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec)) * 3600.0
    north = (positions.dec - dec) * 3600.0
    near_pole = np.abs(dec) > 89.0
    assert np.hypot(east, north)[near_pole].max() < 1e-4
    assert np.hypot(east, north)[~near_pole].max() < 1e-8
    assert np.array_equal(positions.nDiaSources, expected["nDiaSources"].to_numpy())

    pixels = calculator.object_rows(states)["pixelId"].to_numpy()
    assert np.array_equal(pixels, expected["pixelId"].to_numpy().astype(np.int64))


def test_production_rows_are_upstreams_in_float32(
    golden: Golden, golden_histories: Histories, comparable_slopes: BoolArray
) -> None:
    calculator = StatisticsCalculator()
    rows = calculator.object_rows(calculator.rebuild(golden_histories(True)))
    expected = golden("expected_sdm_float32").sort_by("diaObjectId")
    for name in set(expected.column_names) - {"ra", "dec"}:
        values, wanted = rows[name].to_numpy(), expected[name].to_numpy()
        assert values.dtype == wanted.dtype or name == "diaObjectId", name
        if name.endswith("MaxSlope"):
            values, wanted = values[comparable_slopes], wanted[comparable_slopes]
        np.testing.assert_allclose(values, wanted, rtol=1e-6, err_msg=name)


def test_columns_are_upstreams(golden: Golden) -> None:
    expected = set(golden("expected").column_names) - {"diaObjectId", "pixelId"}
    ours = {
        column
        for name in ALL_PLUGINS
        for suffix in find_plugin(name).columns
        for column in ([f"{band}_{suffix}" for band in BANDS] if "Flux" in suffix else [suffix])
    }
    assert ours == expected
    assert set(CORE_PLUGINS[:2]) <= set(ALL_PLUGINS)
