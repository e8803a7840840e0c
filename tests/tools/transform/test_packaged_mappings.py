"""The packaged mappings against the layouts that are public: alert schemas 7.4 to 10, Data Preview 1, ZTF."""

import datetime
import importlib.resources
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stream_assoc.core.model.batch import Batch
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.mapping import load_mapping

MJD = 60_700.25
PROCESSED = datetime.datetime(2025, 1, 26, 7, 0, tzinfo=datetime.UTC)
PROCESSED_MJD_TAI = 60_701.0 + 7.0 / 24.0 + 37.0 / 86_400.0

# What a record must hold in every schema; all else may be null.
REQUIRED = {
    "visit": 2025012500100,
    "detector": 94,
    "midpointMjdTai": MJD,
    "ra": 10.0,
    "dec": -5.0,
    "x": 1.0,
    "y": 2.0,
}
NULLABLE = [
    *("diaObjectId", "ssObjectId", "parentDiaSourceId", "raErr", "decErr", "ra_dec_Cov", "centroid_flag", "apFlux"),
    *(
        "psfFlux",
        "psfFluxErr",
        "psfNdata",
        "trailNdata",
        "dipoleNdata",
        "scienceFlux",
        "scienceFluxErr",
        "reliability",
    ),
]

ALERTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "7.4": ({"is_negative": True}, ["x_y_Cov", "psfRa", "dipoleRa", "ixxErr"]),
    "8.0": ({"isNegative": True, "time_processed": PROCESSED}, ["bboxSize", "trail_flag_edge"]),
    "9.0": ({"isNegative": True, "timeProcessedMjdTai": PROCESSED_MJD_TAI}, ["bboxSize", "timeWithdrawnMjdTai"]),
    "10.0": ({"isNegative": True, "timeProcessedMjdTai": PROCESSED_MJD_TAI}, ["bboxSize", "glint_trail"]),
}


def alert(schema: str, number: int, **changes: Any) -> dict[str, Any]:
    own, nullable = ALERTS[schema]
    source = {**dict.fromkeys([*NULLABLE, *nullable]), **REQUIRED, "diaSourceId": 2**60 + number, "band": "g", **own}
    history = [{"diaSourceId": 5, "ra": 1.0}]
    return {"alertId": number, "diaSource": {**source, **changes}, "prvDiaSources": history, "cutoutScience": b"FITS"}


@pytest.mark.parametrize("schema", ALERTS)
def test_alerts_of_every_schema_are_read_with_all_that_may_be_null_null(schema: str) -> None:
    rows = [alert(schema, 1), alert(schema, 2, psfFlux=3.0, psfFluxErr=1.0, psfNdata=5)]
    (batch,) = batches(pa.Table.from_pylist(rows), load_mapping("rubin_alert"))
    made = batch.diaSources.to_pylist()
    assert [row["diaSourceId"] for row in made] == [2**60 + 1, 2**60 + 2]
    assert [row["psfNdata"] for row in made] == [0, 5]
    assert [row[name] for row in made for name in ("trailNdata", "dipoleNdata", "bboxSize")] == [0] * 6
    assert [row["isNegative"] for row in made] == [True, True]
    assert (batch.band, batch.midpointMjdTai) == ("g", MJD)


@pytest.mark.parametrize("schema", ["8.0", "9.0", "10.0"])
def test_alerts_of_a_second_processing_come_in_order_of_arrival(schema: str) -> None:
    name, first = next(item for item in ALERTS[schema][0].items() if "rocessed" in item[0])
    later = first + datetime.timedelta(days=8) if isinstance(first, datetime.datetime) else first + 8.0
    table = pa.Table.from_pylist([alert(schema, 1, **{name: later}), alert(schema, 2)])
    made = batches(table, load_mapping("rubin_alert"), "arrival")
    assert [batch.diaSourceId.tolist() for batch in made] == [[2**60 + 2], [2**60 + 1]]


def test_an_alert_that_comes_twice_is_taken_once() -> None:
    table = pa.Table.from_pylist([alert("10.0", 1), alert("10.0", 1)])
    made = batches(table, load_mapping("rubin_alert"))
    assert (len(made), made.report.n_sources) == (1, 1)


def dp1_table() -> pa.Table:
    """Two rows with every column of the schema, all null that the schema lets be null."""
    text = importlib.resources.files("lsst.sdm.schemas").joinpath("dp1.yaml").read_bytes()
    tables = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["tables"]
    columns = next(table["columns"] for table in tables if table["name"] == "DiaSource")
    types = {
        "long": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "float": pa.float32(),
        "boolean": pa.bool_(),
        "char": pa.string(),
        "timestamp": pa.timestamp("us"),
    }
    given: dict[str, list[Any]] = {name: [value] * 2 for name, value in REQUIRED.items()}
    given |= {"diaSourceId": [2**60 + 1, 2**60 + 2], "band": ["r", "r"], "time_processed": [PROCESSED] * 2}
    given |= {"psfFlux": [1.0, None], "trailLength": [25.0, None], "ssObjectId": [None, 2**55 + 1]}
    return pa.table(
        {one["name"]: pa.array(given.get(one["name"], [None] * 2), types[one["datatype"]]) for one in columns}
    )


@pytest.mark.parametrize("mapping", ["rubin", "rubin_dp1"])
@pytest.mark.parametrize("order", ["midpoint", "arrival"])
def test_the_layout_of_data_preview_1_is_read(mapping: str, order: Any) -> None:
    table = dp1_table()
    assert {"coord_ra", "time_processed"} < set(table.schema.names)
    (batch,) = batches(table, load_mapping(mapping), order)
    assert batch.column("psfFlux")[0] == 1.0
    assert batch.ssObjectId.tolist() == [0, 2**55 + 1]


def test_lengths_in_pixels_are_not_taken_for_arcsec() -> None:
    (batch,) = batches(dp1_table(), load_mapping("rubin_dp1"))
    assert batch.diaSources.column("trailLength").null_count == 2


def of_ztf(**changes: Any) -> Batch:
    row: dict[str, Any] = {
        "candid": 2**60 + 1, "visit": 1, "detector": 3, "band": "g", "midpointMjd": 59_000.0, "ra": 1.0, "dec": 2.0,
        "xpos": None, "ypos": None, "isNegative": None, "psfFlux": 5.0, "psfFluxErr": None, "chipsf": None,
    }  # fmt: skip
    (batch,) = batches(pa.Table.from_pylist([row | changes]), load_mapping("ztf"))
    return batch


def test_of_ztf_everything_but_place_time_and_flux_may_be_null() -> None:
    row = of_ztf().diaSources.to_pylist()[0]
    assert (row["x"], row["y"], row["psfFlux"], row["psfFluxErr"], row["snr"]) == (-1.0, -1.0, 5.0, None, None)
    assert of_ztf(psfFluxErr=0.0).diaSources.column("snr").to_pylist() == [None]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "mapping"), [("decam_hits/dia_source.parquet", "decam"), ("rubin/sources.parquet", "rubin")]
)
def test_of_real_tables_every_column_that_may_be_null_may_be(shared_data: Any, file: str, mapping: str) -> None:
    """One at a time would take long; all of them at once must do too."""
    table = pq.read_table(shared_data / file).slice(0, 200)
    needed = {*REQUIRED, "diaSourceId", "band"}
    nulls = [
        column if name in needed else pa.nulls(200, column.type)
        for name, column in zip(table.schema.names, table.columns, strict=True)
    ]
    made = batches(pa.table(nulls, names=table.schema.names), load_mapping(mapping))
    whole = batches(table, load_mapping(mapping))
    assert made.report.n_sources >= whole.report.n_sources > 100
