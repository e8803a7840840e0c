"""Points, light curves and histories for the tests of the statistics."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.states import LightCurves, ObjectHistories, SourcePoints
from stream_assoc.core.model.types import BANDS, FloatArray
from stream_assoc.core.statistics.plugin import BandPlugin
from stream_assoc.core.statistics.registry import find_plugin

GOLDEN = Path(__file__).parents[2] / "data" / "stats"


def make_points(rows: Sequence[tuple[float, ...]]) -> SourcePoints:
    """Points from rows of (time, flux, error, band index), the science flux being twice the other."""
    columns: FloatArray = np.array(rows, np.float64).reshape(-1, 4).T
    time, flux, error, band = columns
    ra, dec = 10.0 + 1e-4 * np.arange(len(rows), dtype=np.float64), np.full(len(rows), -20.0)
    return SourcePoints(
        ra, dec, time, flux, error, 2.0 * flux, 2.0 * error, band.astype(np.int64), np.zeros(len(rows), np.bool_)
    )


def make_histories(points: SourcePoints, counts: Sequence[int]) -> ObjectHistories:
    n = len(counts)
    missing = np.full(n, np.nan, np.float32)
    return ObjectHistories(
        diaObjectId=2**60 + 1 + np.arange(n, dtype=np.int64),
        validityStartMjdTai=np.full(n, 61000.0),
        raErr=np.full(n, 1e-5, np.float32),
        decErr=np.full(n, 2e-5, np.float32),
        ra_dec_Cov=missing,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        points=points,
    )


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., dict[str, float]]:
    """Return the values of one band plugin on one light curve."""

    def evaluate(name: str, time: npt.ArrayLike, flux: npt.ArrayLike, error: npt.ArrayLike) -> dict[str, float]:
        plugin = find_plugin(name)
        assert isinstance(plugin, BandPlugin)
        t, f, e = (np.array(column, np.float64) for column in (time, flux, error))
        curves = LightCurves(np.array([0, 0, len(t)], np.int64), t, f, e, f, e)
        fields = np.tile(np.array(list(plugin.fields.values()), np.float64), (2, 1))
        plugin.fold(fields, curves, curves.offsets[:-1].copy())
        values = plugin.values(fields)
        assert tuple(values) == plugin.columns
        return {name: float(column[1]) for name, column in values.items()}

    return evaluate


@pytest.fixture(scope="session")
def points_of() -> Callable[[Sequence[tuple[float, ...]]], SourcePoints]:
    return make_points


@pytest.fixture(scope="session")
def histories_of() -> Callable[[SourcePoints, Sequence[int]], ObjectHistories]:
    return make_histories


@pytest.fixture(scope="session")
def golden() -> Callable[[str], pa.Table]:
    """Return a table of the golden vectors, computed by upstream's own code."""
    return lambda name: pq.read_table(GOLDEN / f"{name}.parquet")


@pytest.fixture(scope="session")
def golden_histories(golden: Callable[[str], pa.Table]) -> Callable[[bool], ObjectHistories]:
    """Return the golden sources as histories, in their shuffled order, with or without rounding to float32."""

    def histories(as_stored: bool) -> ObjectHistories:
        table = golden("dia_sources")
        ids = table["diaObjectId"].to_numpy()
        order = np.argsort(ids, kind="stable")

        def column(name: str) -> FloatArray:
            values: FloatArray = table[name].to_numpy()[order]
            return values.astype(np.float32).astype(np.float64) if as_stored and "Flux" in name else values

        points = SourcePoints(
            **{name: column(name) for name in ("ra", "dec", *LightCurves.COLUMNS)},
            band=np.array([BANDS.index(band) for band in table["band"].to_pylist()])[order],
            flag=table["flags"].to_numpy()[order] != 0,
        )
        unique, counts = np.unique(ids, return_counts=True)
        made = make_histories(points, counts.tolist())
        return ObjectHistories(
            unique, made.validityStartMjdTai, made.raErr, made.decErr, made.ra_dec_Cov, made.offsets, made.points
        )

    return histories
