"""Rubin's own DiaObject records: the same sources give the same statistics here.

A record was computed when an alert was made, from the alert's source and the
history that the pipeline had loaded before the exposure. So it knows every
source of the object that was processed by then, and none that came later,
even if its visit was earlier.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.states import ObjectHistories, SourcePoints
from stream_assoc.core.model.types import BANDS
from stream_assoc.core.statistics.calculator import StatisticsCalculator

pytestmark = pytest.mark.real_data

N_RECORDS = 201
RELATIVE = 1e-6
MILLIARCSEC = 1.0 / 3.6e6
FIRST_SOURCE_COLUMNS = ("raErr", "decErr", "ra_dec_Cov")


@dataclass(frozen=True)
class Records:
    """Rubin's records, the rows of the sources behind each in processing order, and our statistics of these."""

    table: pa.Table
    sources: pa.Table
    behind: list[np.ndarray]
    statistics: dict[str, np.ndarray]

    def theirs(self, name: str) -> np.ndarray:
        return floats(self.table, name)

    @property
    def band(self) -> np.ndarray:
        return np.array(self.table["alertBand"].to_pylist())


@pytest.fixture(scope="module")
def records(shared_data: Path) -> Records:
    table = pq.read_table(shared_data / "rubin" / "objects.parquet")
    sources = pq.read_table(shared_data / "rubin" / "sources.parquet")
    behind = sources_behind(table, sources)
    return Records(table, sources, behind, statistics_of(sources, behind, table))


def sources_behind(table: pa.Table, sources: pa.Table) -> list[np.ndarray]:
    """Return the rows of each record's sources: the alert's own, and those processed before its exposure."""
    source_id, owner = (sources[name].to_numpy() for name in ("diaSourceId", "diaObjectId"))
    processed = floats(sources, "timeProcessedMjdTai")
    order = np.lexsort((source_id, processed))
    alerts = table.select(["alertDiaSourceId", "diaObjectId", "alertMjdTai"]).to_pydict().values()
    return [
        order[((owner == object_id) & ((processed <= exposure) | (source_id == alert)))[order]]
        for alert, object_id, exposure in zip(*alerts, strict=True)
    ]


def statistics_of(sources: pa.Table, behind: list[np.ndarray], table: pa.Table) -> dict[str, np.ndarray]:
    rows = sources.take(np.concatenate(behind))
    unused = np.full(len(behind), np.nan, np.float32)
    fluxes = ("psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr")
    points = SourcePoints(
        ra=floats(rows, "ra"),
        dec=floats(rows, "dec"),
        midpointMjdTai=floats(rows, "midpointMjdTai"),
        # As the APDB stores them.
        **{name: floats(rows, name).astype(np.float32).astype(np.float64) for name in fluxes},
        band=np.array([BANDS.index(band) for band in rows["band"].to_pylist()], np.int64),
        flag=np.zeros(rows.num_rows, np.bool_),
    )
    histories = ObjectHistories(
        diaObjectId=table["diaObjectId"].to_numpy(),
        validityStartMjdTai=floats(table, "validityStartMjdTai"),
        raErr=unused,
        decErr=unused,
        ra_dec_Cov=unused,
        offsets=np.cumsum([0, *map(len, behind)], dtype=np.int64),
        points=points,
    )
    calculator = StatisticsCalculator()
    return calculator.statistics(calculator.rebuild(histories))


def floats(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as float64, NaN for null."""
    return np.asarray(table[name].to_numpy(), np.float64)


def flux_columns(records: Records, band: str) -> list[str]:
    return [name for name in records.table.column_names if name.startswith(f"{band}_") and not name.endswith("Ndata")]


def test_the_sources_behind_every_record_are_known(records: Records) -> None:
    n_behind = np.array([len(rows) for rows in records.behind])
    assert len(n_behind) == N_RECORDS
    assert np.array_equal(n_behind, records.theirs("nDiaSources"))
    assert np.array_equal(n_behind, records.theirs("nPrvDiaSources") + 1)
    assert n_behind.max() > 1_000


def test_number_of_sources(records: Records) -> None:
    assert np.array_equal(records.statistics["nDiaSources"], records.theirs("nDiaSources"))


def test_position_to_a_milliarcsecond(records: Records) -> None:
    dec = records.theirs("dec")
    off_ra = (records.statistics["ra"] - records.theirs("ra")) * np.cos(np.radians(dec))
    assert np.max(np.hypot(off_ra, records.statistics["dec"] - dec)) < MILLIARCSEC


@pytest.mark.parametrize("band", ["g", "i", "z"])
def test_flux_statistics_of_the_alerts_band(records: Records, band: str) -> None:
    rows = records.band == band
    names = flux_columns(records, band)
    assert len(names) >= 9
    for name in names:
        theirs, ours = records.theirs(name)[rows], records.statistics[name][rows]
        assert np.isfinite(theirs).any(), name
        np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=0.0, equal_nan=True, err_msg=name)
    n_points = f"{band}_psfFluxNdata"
    assert np.array_equal(records.statistics[n_points][rows], records.theirs(n_points)[rows])


def test_other_bands_are_left_empty_by_rubin_not_unknown_to_it(records: Records) -> None:
    """An alert carries the statistics of its own band; the sources of the others still count in nDiaSources."""
    n_others = 0
    for band in BANDS:
        others = records.band != band
        for name in flux_columns(records, band):
            assert np.isnan(records.theirs(name)[others]).all(), name
        assert not np.nan_to_num(records.theirs(f"{band}_psfFluxNdata")[others]).any()
        n_others += records.statistics[f"{band}_psfFluxNdata"][others].sum()
    assert n_others > 10_000


def test_no_filled_column_goes_unchecked(records: Records) -> None:
    """Each column of the records is an identifier, in the calculator, or that of the first source."""
    described = {"diaObjectId", "validityStartMjdTai", "nPrvDiaSources", "nPrvForced", *FIRST_SOURCE_COLUMNS}
    computed = [name for name in records.table.column_names if not name.startswith("alert") and name not in described]
    assert set(computed) <= set(records.statistics)
    bands = {name[0] for name in computed if "Flux" in name and not name.endswith("Ndata")}
    assert bands == set(records.band)


def test_errors_are_those_of_the_source_the_object_is_named_after(records: Records) -> None:
    """An object's id is its first source's, whose errors it keeps; where that source is in the packet they agree."""
    source_id = records.sources["diaSourceId"].to_numpy()
    object_id = records.table["diaObjectId"].to_numpy()
    founders = [rows[source_id[rows] == name] for rows, name in zip(records.behind, object_id, strict=True)]
    known = np.array([len(founder) == 1 for founder in founders])
    first = np.concatenate(founders)
    assert known.sum() > 150
    for name in FIRST_SOURCE_COLUMNS:
        ours = floats(records.sources, name)[first]
        np.testing.assert_allclose(ours, records.theirs(name)[known], rtol=RELATIVE, err_msg=name)
