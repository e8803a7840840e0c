"""Rows of one visit and detector must say the same of it; every row is used or accounted for."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.tools.transform.batches import TableBatches, batches
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.groups import TIME_TOLERANCE_SECONDS
from tests.tools.transform.tables import BIG, detections, small_mapping

MJD = 60_000.5
TOLERANCE_DAYS = TIME_TOLERANCE_SECONDS / 86_400.0


def made(table: pa.Table, folder: Path, *changes: tuple[str, str]) -> TableBatches:
    return batches(table, small_mapping(folder, *changes))


def stored(told: TableBatches) -> list[int]:
    return sorted(one - BIG for batch in told for one in batch.diaSourceId.tolist())


def left_out(told: TableBatches) -> dict[str, int]:
    return {one.reason: one.n_rows for one in told.report.left_out}


def test_midpoints_that_differ_by_rounding_are_one_visit(tmp_path: Path) -> None:
    midpoints = [MJD, np.nextafter(MJD, np.inf), np.nextafter(MJD, 0.0)]
    told = made(detections(3, mjd=midpoints), tmp_path)
    assert [(tuple(batch.id), len(batch), batch.midpointMjdTai) for batch in told] == [((7, 3), 3, MJD)]
    assert left_out(told) == {}
    backwards = made(detections(3, mjd=midpoints[::-1]), tmp_path)
    assert [batch.midpointMjdTai for batch in backwards] == [MJD]


def test_a_row_at_another_midpoint_is_left_out_and_harms_no_other(tmp_path: Path) -> None:
    told = made(detections(3, mjd=[MJD, MJD, MJD + 2.0 * TOLERANCE_DAYS]), tmp_path)
    assert stored(told) == [1, 2]
    assert left_out(told) == {"batch.midpointMjdTai is not that of the other rows of the visit and detector": 1}


@pytest.mark.parametrize(
    ("bands", "expected"),
    [("ggri", []), ("ggrg", [1, 2, 4]), ("gr", []), ("rggg", [2, 3, 4]), ("gggg", [1, 2, 3, 4])],
)
def test_rows_of_another_band_are_left_out_and_all_where_there_is_no_majority(
    tmp_path: Path, bands: str, expected: list[int]
) -> None:
    n_rows = len(bands)
    table = pa.concat_tables([detections(n_rows, band=list(bands)), detections(1, visit=[8], diaSourceId=[BIG + 50])])
    told = made(table, tmp_path)
    assert stored(told) == [*expected, 50]
    assert {batch.band for batch in told if batch.id.visit == 7} <= {"g"}
    n_left_out = n_rows - len(expected)
    reason = "batch.band is not that of the other rows of the visit and detector"
    assert left_out(told) == ({reason: n_left_out} if n_left_out else {})
    if n_left_out:
        assert any("visit 7 detector 3" in line for line in told.report.lines())


def test_exposure_times_agree_or_are_unknown(tmp_path: Path) -> None:
    told = made(detections(4, exposureTime=[30.0, None, np.nextafter(30.0, 31.0), 15.0]), tmp_path)
    assert [(len(batch), batch.exposureTime) for batch in told] == [(3, 30.0)]
    assert left_out(told) == {"batch.exposureTime is not that of the other rows of the visit and detector": 1}


def test_without_a_time_of_processing_no_row_replaces_another(tmp_path: Path) -> None:
    table = detections(4, visit=[7, 8, 7, 8], mjd=[MJD, MJD + 1, MJD, MJD + 1])
    told = made(table, tmp_path)
    assert [(batch.id.visit, (batch.diaSourceId - BIG).tolist()) for batch in told] == [(7, [1, 3]), (8, [2, 4])]


ARRIVAL = ('exposureTime = "exposureTime"', 'arrival = "processed"')


def test_times_of_processing_of_the_same_second_are_one_processing(tmp_path: Path) -> None:
    processed = [MJD + 0.1, np.nextafter(MJD + 0.1, 0.0), MJD + 0.1 + 0.9 / 86_400.0]
    assert stored(made(detections(3, processed=processed), tmp_path, ARRIVAL)) == [1, 2, 3]


def test_an_earlier_processing_is_counted_and_named(tmp_path: Path) -> None:
    table = detections(3, processed=[MJD + 0.1, MJD + 9.0, MJD + 0.1])
    mapping = small_mapping(tmp_path, ARRIVAL)
    told = batches(table, mapping)
    assert stored(told) == [2]
    assert left_out(told) == {
        "of an earlier processing of their visit and detector, which --order arrival would give": 2
    }
    assert [len(batch) for batch in batches(table, mapping, "arrival")] == [2, 1]


@pytest.mark.parametrize("processed", [None, pa.nulls(2), pa.array([None, None], pa.float64())])
def test_the_order_of_observation_needs_no_time_of_processing(tmp_path: Path, processed: pa.Array | None) -> None:
    table, mapping = detections(2, processed=processed), small_mapping(tmp_path, ARRIVAL)
    assert stored(batches(table, mapping)) == [1, 2]
    with pytest.raises(MappingError, match=r"no row tells when it was processed \(processed\); order by midpoint"):
        batches(table, mapping, "arrival")
    with pytest.raises(MappingError, match=r"names no column .*\(batch\.arrival\)"):
        batches(table, small_mapping(tmp_path), "arrival")


def test_a_row_without_a_time_of_processing_was_processed_first(tmp_path: Path) -> None:
    table = detections(3, visit=[7, 7, 8], processed=[None, MJD + 1.0, None])
    assert stored(batches(table, small_mapping(tmp_path, ARRIVAL))) == [2, 3]
    assert len(batches(table, small_mapping(tmp_path, ARRIVAL), "arrival")) == 3


BAD_ROWS = [
    ("dec", 95.0, "ra and dec are no position"),
    ("dec", None, "dec is null or not finite"),
    ("dec", float("nan"), "dec is null or not finite"),
    ("ra", None, "ra is null or not finite"),
    ("ra", float("inf"), "ra is null or not finite"),
    ("ra", 1e6, "ra and dec are no position"),
    ("ra", 190.0, "more than 5 degrees from most other rows"),
    ("x", None, "x is null or not finite"),
    ("y", float("nan"), "y is null or not finite"),
    ("diaSourceId", None, "diaSourceId is null"),
    ("diaSourceId", 0, "diaSourceId is not positive"),
    ("diaSourceId", -5, "diaSourceId is not positive"),
    ("diaSourceId", BIG + 1, "diaSourceId repeated in its visit and detector"),
    ("diaSourceId", BIG + 100, "diaSourceId is that of a row of another visit or detector"),
    ("ssObjectId", -1, "ssObjectId is negative"),
    ("visit", None, "batch.visit is null"),
    ("visit", -1, "batch.visit is negative"),
    ("detector", None, "batch.detector is null"),
    ("detector", -1, "batch.detector is not from 0 to 32767"),
    ("detector", 40_000, "batch.detector is not from 0 to 32767"),
    ("band", None, "batch.band is null"),
    ("band", "Y", "batch.band is none of u, g, r, i, z, y: 'Y'"),
    ("band", "", "batch.band is none of u, g, r, i, z, y: ''"),
    ("mjd", None, "batch.midpointMjdTai is null"),
    ("mjd", float("inf"), "batch.midpointMjdTai is null"),
    ("mjd", 2_460_001.0, "batch.midpointMjdTai is no MJD"),
    ("mjd", 1.76e9, "batch.midpointMjdTai is no MJD"),
    ("exposureTime", -30.0, "batch.exposureTime is not above 0"),
]


@pytest.mark.parametrize(("column", "value", "reason"), BAD_ROWS)
def test_one_bad_row_harms_no_other(tmp_path: Path, column: str, value: object, reason: str) -> None:
    first = detections(1, visit=[6], diaSourceId=[BIG + 100])
    rows = detections(3)
    values = rows.column(column).to_pylist()
    values[1] = value
    spoilt = rows.set_column(rows.schema.get_field_index(column), column, pa.array(values, rows.column(column).type))
    told = made(pa.concat_tables([first, spoilt, detections(1, visit=[9], diaSourceId=[BIG + 200])]), tmp_path)
    assert stored(told) == [1, 3, 100, 200]
    assert list(left_out(told).values()) == [1]
    assert next(iter(left_out(told))).startswith(reason)


def test_a_table_of_bad_rows_only_is_refused_with_the_reasons(tmp_path: Path) -> None:
    table = detections(2, mjd=[2_460_001.0, 2_460_001.0])
    with pytest.raises(MappingError, match=r"none of 2 rows can be used\. 2: batch\.midpointMjdTai is no MJD"):
        made(table, tmp_path)


@pytest.mark.parametrize("schema", ["typed", "null", "text"])
def test_an_empty_table_gives_no_batches(tmp_path: Path, schema: str) -> None:
    empty = detections(0)
    if schema != "typed":
        kind = pa.null() if schema == "null" else pa.string()
        empty = pa.table({name: pa.array([], kind) for name in empty.schema.names})
    told = made(empty, tmp_path)
    assert (list(told), told.report.lines()) == ([], ["0 of 0 rows are sources of 0 batches."])


def test_a_visit_across_ra_0_and_one_at_the_pole_are_whole(tmp_path: Path) -> None:
    table = detections(
        6, visit=[7, 7, 7, 8, 8, 8], ra=[359.9, 0.1, -0.2, 0.0, 120.0, 240.0], dec=[0.0] * 3 + [89.9] * 3
    )
    assert len(stored(made(table, tmp_path))) == 6


values = {
    "visit": st.sampled_from([7, 8, -1, None]),
    "detector": st.sampled_from([3, 4, 40_000]),
    "band": st.sampled_from(["g", "r", "q", None]),
    "mjd": st.sampled_from([MJD, np.nextafter(MJD, 0.0), MJD + 1.0, np.nan]),
    "ra": st.sampled_from([10.0, 10.001, 200.0, np.nan]),
    "dec": st.sampled_from([-5.0, 95.0, None]),
    "processed": st.sampled_from([None, MJD + 0.1, MJD + 0.1 + 1e-6, MJD + 3.0]),
    "diaSourceId": st.integers(0, 6),
}
rows_of = st.lists(st.fixed_dictionaries(values), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(rows=rows_of, order=st.sampled_from(["midpoint", "arrival"]))
def test_every_row_is_used_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], order: Literal["midpoint", "arrival"]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    types = {"visit": pa.int64(), "band": pa.string(), "dec": pa.float64(), "processed": pa.float64()}
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in values}
    try:
        told = batches(detections(len(rows), **columns), small_mapping(folder, ARRIVAL), order)
    except MappingError:
        return
    report = told.report
    assert report.n_rows == len(rows) == report.n_sources + sum(one.n_rows for one in report.left_out)
    made_batches = list(told)
    assert (len(made_batches), sum(map(len, made_batches))) == (report.n_batches, report.n_sources)
    for batch in made_batches:
        assert len(set(batch.diaSourceId.tolist())) == len(batch)
        assert min(batch.diaSourceId) > 0
        used = [
            rows[one] for one in range(len(rows)) if (rows[one]["visit"], rows[one]["detector"]) == tuple(batch.id)
        ]
        assert any(row["band"] == batch.band for row in used)
        assert any(row["mjd"] == batch.midpointMjdTai for row in used)
    if order == "midpoint":
        assert len({batch.id for batch in made_batches}) == len(made_batches)
