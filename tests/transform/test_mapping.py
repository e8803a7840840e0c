import pyarrow as pa
import pytest

from stream_assoc.transform.columns import measured_schema
from stream_assoc.transform.exceptions import MappingError
from stream_assoc.transform.mapping import load_mapping, packaged_mappings

MINIMAL = """
name = "small"
same_names = true
[batch]
visit = "visit"
detector = "detector"
band = { constant = "r" }
midpointMjdTai = "mjd"
[footprint]
margin_arcsec = 10.0
[columns]
psfNdata = { constant = 0 }
dipoleNdata = { constant = 0 }
bboxSize = { constant = 0 }
x = { constant = 0.0 }
y = { constant = 0.0 }
"""


def table(**changes):
    columns = {"diaSourceId": [2**60 + 1], "visit": [1], "detector": [2], "mjd": [6e4], "ra": [10.0], "dec": [-5.0]}
    return pa.table(columns | changes)


@pytest.fixture
def mapping(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(MINIMAL)
    return load_mapping(file)


def test_sources_have_every_measured_column_in_its_type(mapping) -> None:
    sources = mapping.sources(table(psfFlux=[float("nan")], raErr=[1e-5], reliability=[None]))
    assert sources.schema.equals(measured_schema(), check_metadata=True)
    row = sources.to_pylist()[0]
    assert row["diaSourceId"] == 2**60 + 1
    assert row["psfFlux"] is None
    assert row["raErr"] == pytest.approx(1e-5)
    # The schema's own default.
    assert row["trailNdata"] == 0


def test_a_missing_column_is_named_with_the_file(mapping) -> None:
    with pytest.raises(MappingError, match=r"small\.toml.*required DiaSource column 'ra'.*no column 'ra'"):
        mapping.sources(table().drop_columns(["ra"]))
    with pytest.raises(MappingError, match=r"small\.toml.*no column 'mjd'.*'batch.midpointMjdTai'"):
        mapping.visits(table().drop_columns(["mjd"]))


def test_an_identifier_may_not_come_from_a_float(mapping) -> None:
    with pytest.raises(MappingError, match="'diaSourceId' is an identifier"):
        mapping.sources(table(diaSourceId=[1.0]))


def test_a_null_where_a_value_is_required_is_refused(mapping) -> None:
    with pytest.raises(MappingError, match="'ra' is null in 1 rows"):
        mapping.sources(table(ra=pa.array([None], pa.float64())))
    with pytest.raises(MappingError, match=r"batch\.visit is null in 1 rows"):
        mapping.visits(table(visit=pa.array([None], pa.int64())))


def test_a_text_that_is_no_number_is_refused(mapping) -> None:
    with pytest.raises(MappingError, match="'psfFlux' cannot be made float"):
        mapping.sources(table(psfFlux=["bright"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("margin_arcsec = 10.0", "margin_arcsec = -1.0"), "footprint.margin_arcsec"),
        (('visit = "visit"', ""), "batch.visit: Field required"),
        (("[columns]", '[columns]\nobjectId = "id"'), "names objectId"),
        (("[columns]", '[columns]\nra = { formula = "1+1" }'), "columns.ra.formula"),
        (("[columns]", "[columns"), "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path, change, message) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(MINIMAL.replace(*change))
    with pytest.raises(MappingError, match=rf"wrong\.toml.*{message}"):
        load_mapping(file)


def test_an_unknown_name_lists_the_packaged_ones() -> None:
    with pytest.raises(MappingError, match="decam, rubin, rubin_alert, ztf"):
        load_mapping("lsst")


@pytest.mark.parametrize("name", packaged_mappings())
def test_every_packaged_mapping_loads(name) -> None:
    assert load_mapping(name).name == name


def test_a_nested_alert_is_reached_by_its_prefix() -> None:
    mapping = load_mapping("rubin_alert")
    inner = dict.fromkeys(("psfNdata", "trailNdata", "dipoleNdata", "bboxSize"), 0) | {"x": 1.0, "y": 1.0}
    inner |= table().to_pylist()[0] | {"band": "g", "midpointMjdTai": 6e4, "timeProcessedMjdTai": 6e4}
    packets = pa.Table.from_pylist([{"observation_reason": "a", "diaSource": inner}] * 2)
    selected = mapping.select(packets)
    assert selected.num_rows == 1
    assert mapping.sources(selected).column("diaSourceId").to_pylist() == [2**60 + 1]
    assert mapping.visits(selected).column("visit").to_pylist() == [1]
