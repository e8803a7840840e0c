"""What a mapping makes of the columns of a table, whatever types they come in."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.tools.transform.batches import TableBatches, batches
from stream_assoc.tools.transform.columns import measured_schema
from stream_assoc.tools.transform.exceptions import MappingError
from tests.tools.transform.tables import BIG, detections, small_mapping


def made(table: pa.Table, folder: Path, *changes: tuple[str, str]) -> TableBatches:
    return batches(table, small_mapping(folder, *changes))


def sources(table: pa.Table, folder: Path, *changes: tuple[str, str]) -> list[dict[str, Any]]:
    return [row for batch in made(table, folder, *changes) for row in batch.diaSources.to_pylist()]


def test_sources_have_every_measured_column_in_its_type(tmp_path: Path) -> None:
    table = detections(raErr=[1e-5], psfFlux=[float("nan")], reliability=pa.nulls(1))
    (batch,) = made(table, tmp_path)
    assert batch.diaSources.schema.equals(measured_schema(), check_metadata=True)
    row = batch.diaSources.to_pylist()[0]
    assert row["diaSourceId"] == BIG + 1
    assert row["psfFlux"] is None
    assert row["raErr"] == pytest.approx(1e-5)


@pytest.mark.parametrize("missing", ["psfNdata", "trailNdata", "dipoleNdata", "bboxSize"])
def test_pixels_that_nobody_counted_are_none(tmp_path: Path, missing: str) -> None:
    assert sources(detections(**{missing: pa.nulls(1)}), tmp_path)[0][missing] == 0
    assert sources(detections(), tmp_path)[0][missing] == 0


def test_a_missing_column_is_named_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"small\.toml: the table has no column 'ra', which every DiaSource needs"):
        made(detections(ra=None), tmp_path)
    with pytest.raises(MappingError, match=r"small\.toml.*no column 'mjd'.*'batch.midpointMjdTai'"):
        made(detections(mjd=None), tmp_path)
    with pytest.raises(MappingError, match=r"small\.toml.*no column 'flux'.*'psfFlux'"):
        made(detections(), tmp_path, ("[footprint]", '[columns]\npsfFlux = "flux"\n[footprint]'))


@pytest.mark.parametrize("missing", ["psfFlux", "psfFluxErr"])
def test_a_column_that_the_statistics_are_made_of_must_be_there_or_said_to_be_absent(
    tmp_path: Path, missing: str
) -> None:
    with pytest.raises(
        MappingError, match=rf'no column \'{missing}\', which the statistics.*absent = \["{missing}"\]'
    ):
        made(detections(**{missing: None}), tmp_path)
    told = made(detections(**{missing: None}), tmp_path, ("same_names", f'absent = ["{missing}"]\nsame_names'))
    assert [batch.diaSources.column(missing).to_pylist() for batch in told] == [[None]]
    assert any(missing in line and "for statistics" in line for line in told.report.lines())


def test_a_misspelt_column_is_suspected(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"no column 'psfFlux' \(is it 'psFlux'\?\)"):
        made(detections(psfFlux=None, psFlux=[1.0]), tmp_path)
    told = made(detections(is_negative=[True], scienceFlx=[2.0]), tmp_path).report.lines()
    assert any("isNegative (is it 'is_negative'?)" in line for line in told)
    assert any("for statistics: scienceFlux (is it 'scienceFlx'?), scienceFluxErr" in line for line in told)
    told = made(detections(objectId=[1], reliable=[0.5]), tmp_path).report.lines()
    assert not any("is it" in line for line in told), "a name that is only somewhat alike is another one"


def test_columns_that_nothing_reads_are_told_when_they_are_missing(tmp_path: Path) -> None:
    assert "isNegative" in made(detections(), tmp_path).report.lines()[-1]
    assert "isNegative" not in made(detections(isNegative=[True]), tmp_path).report.lines()[-1]


def test_columns_that_are_null_throughout_are_told_like_missing_ones(tmp_path: Path) -> None:
    told = made(detections(psfFlux=pa.nulls(1), raErr=[0.1], decErr=[np.nan]), tmp_path).report.lines()
    assert any("columns for statistics: psfFlux, scienceFlux" in line for line in told)
    assert any("columns for association: decErr." in line for line in told)


def test_what_is_said_to_be_absent_is_not_taken(tmp_path: Path) -> None:
    told = sources(detections(raErr=[0.5]), tmp_path, ("same_names", 'absent = ["raErr"]\nsame_names'))
    assert told[0]["raErr"] is None


@pytest.mark.parametrize("column", ["diaSourceId", "visit", "detector"])
def test_an_identifier_may_not_come_from_a_float(tmp_path: Path, column: str) -> None:
    with pytest.raises(MappingError, match=rf"'(batch\.)?{column}' is an identifier"):
        made(detections(**{column: [1.0]}), tmp_path)


def test_an_identifier_that_may_be_null_comes_from_floats_that_hold_it_exactly(tmp_path: Path) -> None:
    parents = [float("nan"), 0.0, 2.0**53, 2.0**53 + 2.0, 1.5]
    told = made(detections(5, parentDiaSourceId=parents), tmp_path)
    (batch,) = told
    assert batch.diaSources.column("parentDiaSourceId").to_pylist() == [None, 0, 2**53]
    assert [(one.reason, one.n_rows) for one in told.report.left_out] == [
        ("parentDiaSourceId is a float that does not hold an identifier exactly; write the column as int64", 2)
    ]


def test_a_text_that_is_no_number_is_refused_with_its_column(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"'psfFlux' cannot be made float of psfFlux \(string\).*'bright'"):
        made(detections(psfFlux=["bright"]), tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pa.array([1, 0, None, 2], pa.int8()), [True, False, None]),
        (pa.array([1.0, 0.0, np.nan, 0.5]), [True, False, None]),
        (pa.array(["true", "false", None, "true"]), [True, False, None, True]),
        (pa.array([True, False, None, True]), [True, False, None, True]),
    ],
)
def test_flags_come_as_numbers_too_and_only_as_0_and_1(
    tmp_path: Path, given: pa.Array, expected: list[bool | None]
) -> None:
    assert [row["centroid_flag"] for row in sources(detections(4, centroid_flag=given), tmp_path)] == expected


@pytest.mark.parametrize(
    "given",
    [pa.array([3, 2**40, -(2**40)]), pa.array([3.0, 0.5, 1e30]), pa.array([3, 2**63, 2**64 - 1], pa.uint64())],
)
def test_a_count_that_does_not_fit_leaves_its_row_out_and_harms_no_other(tmp_path: Path, given: pa.Array) -> None:
    told = made(detections(3, psfNdata=given), tmp_path)
    assert [batch.diaSources.column("psfNdata").to_pylist() for batch in told] == [[3]]
    assert told.report.left_out[0].n_rows == 2


@pytest.mark.parametrize("flux", [1e39, -1e39, 1e300, np.inf, -np.inf, np.nan])
def test_a_flux_that_no_float32_holds_is_null(tmp_path: Path, flux: float) -> None:
    assert [row["psfFlux"] for row in sources(detections(2, psfFlux=[flux, 3.0]), tmp_path)] == [None, 3.0]


def test_columns_nobody_needs_are_not_looked_at(tmp_path: Path) -> None:
    cutouts = pa.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    mixed = pa.UnionArray.from_dense(
        pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])]
    )
    table = detections(2, cutout=cutouts, mixed=mixed, when=pa.array([1, 2], pa.time64("ns")))
    assert len(sources(table, tmp_path)) == 2


def test_a_column_that_is_there_twice_is_refused_only_if_it_is_needed(tmp_path: Path) -> None:
    table = detections()
    twice = table.append_column("ra", table.column("ra"))
    with pytest.raises(MappingError, match="more than one column ra"):
        made(twice, tmp_path)
    other = detections(note=["a"])
    assert len(sources(other.append_column("note", other.column("note")), tmp_path)) == 1


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"small\.toml: the table has none of the columns"):
        made(pa.table({"a": [1]}), tmp_path)


@pytest.mark.parametrize(
    "bands",
    [
        pa.array([b"r", b"r "]),
        pa.array([b"r\0\0", b"r\0\0"], pa.binary(3)),
        pa.array([b"r", b"r"], pa.large_binary()),
        pa.array(["r", "r"], pa.large_string()),
        pa.array(["r ", "r"]),
        pa.array(["r", "r"]).dictionary_encode(),
    ],
)
def test_a_band_is_the_same_as_text_and_as_bytes(tmp_path: Path, bands: pa.Array) -> None:
    assert [(batch.band, len(batch)) for batch in made(detections(2, band=bands), tmp_path)] == [("r", 2)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_are_utc_and_become_mjd_tai(tmp_path: Path, unit: str) -> None:
    day, seconds_per_day = 60_000 - 40_587, 86_400
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([(day * seconds_per_day + 43_200) * per_second], pa.timestamp(unit))
    (batch,) = made(detections(mjd=times), tmp_path)
    assert batch.midpointMjdTai == pytest.approx(60_000.5 + 37.0 / 86_400.0, abs=1e-10)
    (batch,) = made(
        detections(mjd=times.cast(pa.timestamp(unit, "UTC"))),
        tmp_path,
        ('midpointMjdTai = "mjd"', 'midpointMjdTai = { column = "mjd", time_scale = "tai" }'),
    )
    assert batch.midpointMjdTai == 60_000.5


NO_NUMBERS = [
    pa.array([1], pa.int64()).cast(kind)
    for kind in (pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.date64(), pa.time64("us"), pa.duration("ms"))
]


@pytest.mark.parametrize("name", ["diaSourceId", "visit", "detector", "exposureTime", "psfFlux", "ssObjectId", "ra"])
@pytest.mark.parametrize("values", [*NO_NUMBERS, pa.array([True])])
def test_dates_and_truth_values_are_no_numbers(tmp_path: Path, name: str, values: pa.Array) -> None:
    """Arrow takes them for the numbers they are held as: a duration of a day would be visit 86,400,000."""
    with pytest.raises(MappingError, match=f"{name}' cannot be made"):
        made(detections(**{name: values}), tmp_path)


@pytest.mark.parametrize(("kind", "exact"), [(pa.float32(), 2**24), (pa.float16(), 2**11), (pa.float64(), 2**53)])
def test_a_float_holds_an_identifier_as_far_as_its_type_does(tmp_path: Path, kind: pa.DataType, exact: int) -> None:
    ids = np.array([exact - 1, 4 * exact if exact > 2**11 else 4096]).astype(kind.to_pandas_dtype())
    (source,) = sources(detections(2, ssObjectId=pa.array(ids, kind)), tmp_path)
    assert source["ssObjectId"] == exact - 1


def test_a_time_that_is_none_is_shown_as_it_is_written(tmp_path: Path) -> None:
    left_out = made(detections(2, mjd=[1.0, 60_000.5]), tmp_path).report.left_out
    assert any(one.reason.endswith("(1950 to 2100): 1.0") for one in left_out)
