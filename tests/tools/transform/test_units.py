"""Columns that say their unit are converted to Rubin's, or refused; the others are in Rubin's."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.conversion import stated_units
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.mapping import load_mapping
from tests.tools.transform.tables import detections, small_mapping


def in_units(table: pa.Table, **units: str) -> pa.Table:
    fields = [
        field.with_metadata({"unit": units[field.name]}) if field.name in units else field for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def test_what_is_in_another_unit_is_converted(tmp_path: Path) -> None:
    table = detections(psfFlux=[2.0], psfFluxErr=[0.5], ra=[np.radians(10.0)], exposureTime=[0.5])
    said = in_units(
        table, psfFlux="uJy", psfFluxErr="mJy", ra="rad", exposureTime="min", dec="deg", visit="", x="pix"
    )
    (batch,) = batches(said, small_mapping(tmp_path))
    row = batch.diaSources.to_pylist()[0]
    assert (row["psfFlux"], row["psfFluxErr"], row["dec"]) == (2_000.0, 500_000.0, -5.0)
    assert row["ra"] == pytest.approx(10.0, abs=1e-12)
    assert batch.exposureTime == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("column", "unit", "message"),
    [
        ("psfFlux", "mag", "logarithmic"),
        ("psfFlux", "s", "cannot be converted to nJy"),
        ("ra", "Jy", "cannot be converted to deg"),
        ("psfFlux", "nonsense", "which astropy does not know"),
    ],
)
def test_a_unit_of_another_kind_is_refused_by_name(tmp_path: Path, column: str, unit: str, message: str) -> None:
    with pytest.raises(MappingError, match=rf"small\.toml: column '{column}' .*{message}"):
        batches(in_units(detections(), **{column: unit}), small_mapping(tmp_path))


def test_a_rule_that_scales_knows_the_unit(tmp_path: Path) -> None:
    scaled = ("[footprint]", '[columns]\npsfFlux = { column = "psfFlux", scale = 3.0 }\n[footprint]')
    (batch,) = batches(in_units(detections(psfFlux=[2.0]), psfFlux="mJy"), small_mapping(tmp_path, scaled))
    assert batch.column("psfFlux").tolist() == [6.0]


@pytest.mark.parametrize("kind", [Table, QTable])
def test_units_of_a_file_that_astropy_wrote_are_read(tmp_path: Path, kind: type[Table]) -> None:
    plain = detections().drop_columns(["ssObjectId"])
    columns = {name: np.array(plain.column(name).to_pylist()) for name in plain.schema.names}
    columns["psfFlux"] = np.array([2.0]) * u.uJy
    columns["ra"] = np.array([np.radians(10.0)]) * u.rad
    kind(columns).write(tmp_path / "t.parquet")
    with pq.ParquetFile(tmp_path / "t.parquet") as file:
        table = file.read(columns=[name for name in file.schema_arrow.names if name != "y"])
    assert stated_units(table.schema) == {"psfFlux": "uJy", "ra": "rad"}
    (batch,) = batches(pq.read_table(tmp_path / "t.parquet"), small_mapping(tmp_path))
    assert batch.column("psfFlux").tolist() == [2_000.0]
    assert batch.column("ra").tolist() == pytest.approx([10.0])


def test_units_of_structs_are_found() -> None:
    inner = pa.struct([pa.field("psfFlux", pa.float64(), metadata={"unit": "mJy"}), pa.field("ra", pa.float64())])
    assert stated_units(pa.schema([pa.field("diaSource", inner)])) == {"diaSource.psfFlux": "mJy"}
    assert load_mapping("rubin_alert").rule("psfFlux") is not None


def test_a_filter_of_another_kind_is_refused(tmp_path: Path) -> None:
    mapping = small_mapping(tmp_path, ("same_names", 'where = [{ column = "band", at_least = 5.0 }]\nsame_names'))
    with pytest.raises(
        MappingError, match=r"small\.toml: a 'where' filter cannot be compared with 'band' \(string\)"
    ):
        batches(detections(), mapping)
    mapping = small_mapping(tmp_path, ("same_names", 'unique = "cutout"\nsame_names'))
    with pytest.raises(MappingError, match=r"small\.toml: 'unique' cannot compare 'cutout' \(list"):
        batches(detections(cutout=pa.array([[1.0]])), mapping)


@pytest.mark.parametrize(
    "description",
    [b"{{{", b"\xff", b"datatype: 3", b"datatype:\n- ra", b"datatype:\n- {unit: rad}", b"[]", b"!!python/object:a b"],
)
def test_a_description_that_cannot_be_read_is_named(tmp_path: Path, description: bytes) -> None:
    table = detections().replace_schema_metadata({"table_meta_yaml": description})
    with pytest.raises(MappingError, match="astropy's description of the table"):
        batches(table, small_mapping(tmp_path))
