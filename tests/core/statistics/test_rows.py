import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d

from stream_assoc.core.exceptions import InvalidPositionError
from stream_assoc.core.model.schema import PIXEL_ID, apdb_table
from stream_assoc.core.model.states import ObjectHistories, ObjectStates, SourcePoints
from stream_assoc.core.statistics import ALL_PLUGINS, StatisticsCalculator
from stream_assoc.core.statistics.rows import dia_object_rows

Points = Callable[[Sequence[tuple[float, ...]]], SourcePoints]
Histories = Callable[[SourcePoints, Sequence[int]], ObjectHistories]


@pytest.fixture
def calculator() -> StatisticsCalculator:
    return StatisticsCalculator(ALL_PLUGINS)


@pytest.fixture
def states(calculator: StatisticsCalculator, points_of: Points, histories_of: Histories) -> ObjectStates:
    points = points_of([(60000, 4.0, 1, 2), (60002, 8.0, 1, 2), (60001, math.nan, 1, 4)])
    return calculator.rebuild(histories_of(points, [2, 1]))


def test_rows_are_in_the_schema_of_the_apdb(calculator: StatisticsCalculator, states: ObjectStates) -> None:
    rows = calculator.object_rows(states)
    rows.validate(full=True)
    assert rows.schema.equals(apdb_table("DiaObject").arrow_schema().append(PIXEL_ID.arrow_field()))
    for column in (*apdb_table("DiaObject").columns, PIXEL_ID):
        assert column.nullable or rows[column.name].null_count == 0, column.name


def test_values_and_nulls(calculator: StatisticsCalculator, states: ObjectStates) -> None:
    one, other = calculator.object_rows(states).to_pylist()
    assert (one["diaObjectId"], other["diaObjectId"]) == (2**60 + 1, 2**60 + 2)
    assert (one["r_psfFluxMean"], one["r_psfFluxNdata"], one["r_psfFluxMaxSlope"]) == (6.0, 2, 2.0)
    assert (one["nDiaSources"], one["firstDiaSourceMjdTai"], one["lastDiaSourceMjdTai"]) == (2, 60000.0, 60002.0)
    assert one["raErr"] == np.float32(1e-5)
    assert (one["ra_dec_Cov"], one["validityEndMjdTai"], one["r_fpFluxMean"]) == (None, None, None)
    assert (one["u_psfFluxMean"], one["u_psfFluxNdata"], one["u_scienceFluxMeanErr"]) == (None, 0, None)
    assert (other["z_psfFluxMean"], other["z_psfFluxNdata"], other["z_scienceFluxMeanErr"]) == (None, 0, math.inf)
    assert other["validityStartMjdTai"] == 61000.0


def test_pixel_is_that_of_sphgeom(calculator: StatisticsCalculator, states: ObjectStates) -> None:
    mesh = HtmPixelization(20)
    for row in calculator.object_rows(states).to_pylist():
        assert row["pixelId"] == mesh.index(UnitVector3d(LonLat.fromDegrees(row["ra"], row["dec"])))


def test_other_statistics_are_rows_of_the_extension(calculator: StatisticsCalculator, states: ObjectStates) -> None:
    rows = calculator.further_rows(states)
    rows.validate(full=True)
    names = rows.column_names
    assert names[:3] == ["diaObjectId", "validityStartMjdTai", "flags"]
    assert {"r_psfFluxPercentile95", "y_scienceFluxSigma", "u_psfFluxStetsonJ"} <= set(names)
    assert not set(names[2:]) & set(apdb_table("DiaObject").names)
    assert all(rows.schema.field(name).type == pa.float64() for name in names[1:])
    one = rows.to_pylist()[0]
    assert (one["r_psfFluxMAD"], one["r_psfFluxSkew"], one["flags"]) == (2.0, None, 0.0)


def test_the_scatter_of_huge_fluxes_is_null_in_float32(
    calculator: StatisticsCalculator, points_of: Points, histories_of: Histories
) -> None:
    states = calculator.rebuild(histories_of(points_of([(60000, 3e38, 1, 0), (60001, -3e38, 1, 0)]), [2]))
    assert calculator.object_rows(states)["u_psfFluxSigma"].to_pylist() == [None]


def test_an_object_without_a_position_is_no_row(
    calculator: StatisticsCalculator, points_of: Points, histories_of: Histories
) -> None:
    points = points_of([(60000, 1, 1, 0)])
    points.ra[0] = math.nan
    with pytest.raises(InvalidPositionError):
        calculator.object_rows(calculator.rebuild(histories_of(points, [1])))


def test_a_statistic_that_a_float32_cannot_hold_is_null_and_a_computed_infinity_stays(
    states: ObjectStates,
) -> None:
    statistics = {
        "ra": np.array([10.0, 20.0]),
        "dec": np.array([0.0, 0.0]),
        "r_psfFluxMean": np.array([1e39, 3e38]),
        "r_psfFluxSigma": np.array([-1e300, np.nan]),
        "r_scienceFluxMeanErr": np.array([np.inf, 1.0]),
    }
    rows = dia_object_rows(states, statistics)
    assert rows["r_psfFluxMean"].to_pylist() == [None, float(np.float32(3e38))]
    assert rows["r_psfFluxSigma"].to_pylist() == [None, None]
    assert rows["r_scienceFluxMeanErr"].to_pylist() == [math.inf, 1.0]
