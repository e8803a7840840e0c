"""Catalogues of every kind: what is in another unit is converted or refused; what nobody reads harms nobody."""

from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.tasks.exceptions import CatalogError
from stream_assoc.tasks.tables import arrow_table, dia_source_batch, unit_factor

BIG = 2**62 + 1


def columns(**changed: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "diaSourceId": np.array([BIG, BIG + 1]),
        "ra": np.array([150.0, 151.0]),
        "dec": np.array([2.0, -3.0]),
        "x": np.array([1.0, 2.0]),
        "y": np.array([3.0, 4.0]),
        "psfFlux": np.array([1000.0, 2000.0]),
    }
    return plain | changed


def with_units(units: dict[str, str], **changed: Any) -> Table:
    table = Table(columns(**changed))
    for name, unit in units.items():
        table[name].unit = unit
    return table


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("ra", "rad", 180.0 / np.pi),
        ("ra", "hourangle", 15.0),
        ("ra", "arcsec", 1 / 3600.0),
        ("dec", "mas", 1 / 3.6e6),
        ("dec", "deg", 1.0),
        ("psfFlux", "mJy", 1e6),
        ("psfFlux", "uJy", 1e3),
        ("psfFlux", "Jy", 1e9),
        ("psfFlux", "nJy", 1.0),
        ("psfFlux", "erg / (s cm2 Hz)", 1e32),
        ("x", "pix", 1.0),
    ],
)
@pytest.mark.parametrize("kind", ["astropy", "quantity", "arrow"])
def test_units_are_converted(kind: str, name: str, unit: str, factor: float) -> None:
    table: Any = with_units({name: unit})
    if kind == "quantity":
        table = QTable(table)
    if kind == "arrow":
        schema = pa.table(columns()).schema
        place = schema.get_field_index(name)
        schema = schema.set(place, schema.field(place).with_metadata({"unit": unit}))
        table = pa.table(columns(), schema=schema)
    converted = dia_source_batch(table).column(name).to_numpy()
    np.testing.assert_allclose(converted, columns()[name] * factor, rtol=1e-6)
    assert dia_source_batch(table).column("diaSourceId").to_pylist() == [BIG, BIG + 1]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ra", "s"),
        ("ra", "h"),
        ("ra", "Jy"),
        ("psfFlux", "ct"),
        ("psfFlux", "deg"),
        ("psfFlux", "mag(AB)"),
        ("psfFlux", "mag"),
        ("x", "mm"),
        ("ra", "furlongs of sky"),
        ("diaSourceId", "kg"),
    ],
)
def test_units_of_another_kind_are_refused(name: str, unit: str) -> None:
    schema = pa.table(columns()).schema
    place = schema.get_field_index(name)
    schema = schema.set(place, schema.field(place).with_metadata({"unit": unit}))
    with pytest.raises(CatalogError, match=f"column '{name}' .*{unit.split('(', maxsplit=1)[0]}"):
        dia_source_batch(pa.table(columns(), schema=schema))


ANGLES = ("deg", "rad", "arcmin", "arcsec", "mas", "uas", "hourangle")
FLUXES = ("nJy", "uJy", "mJy", "Jy", "W / (m2 Hz)")


@given(st.sampled_from(ANGLES) | st.sampled_from(FLUXES), st.sampled_from(["deg", "nJy", "deg**2", "pixel", ""]))
def test_a_factor_is_astropy_s_or_there_is_none(unit: str, target: str) -> None:
    if u.Unit(unit).is_equivalent(u.Unit(target)):
        assert unit_factor(unit, target, "a") == pytest.approx(u.Unit(unit).to(u.Unit(target)), rel=1e-15)
    else:
        with pytest.raises(CatalogError, match="column 'a'"):
            unit_factor(unit, target, "a")


def test_columns_that_nobody_reads_stop_nothing() -> None:
    cutouts = np.zeros((2, 5, 5))
    strange = {
        "cutout": cutouts,
        "complex": np.array([1j, 2j]),
        "when": Time([60_000.0, 60_001.0], format="mjd"),
        "where": SkyCoord([1.0, 2.0] * u.deg, [3.0, 4.0] * u.deg),
        "anything": np.array([{}, "text"], dtype=object),
    }
    assert dia_source_batch(Table(columns(**strange))).num_rows == 2
    frame = pd.DataFrame(columns(mixed=[1, "text"], objects=[object(), object()], arrays=[cutouts, cutouts]))
    assert dia_source_batch(frame).num_rows == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"ra": np.zeros((2, 5))},
        {"ra": SkyCoord([1.0, 2.0] * u.deg, [3.0, 4.0] * u.deg)},
        {"ra": np.array([1j, 2j])},
        {"ra": np.array([{}, "text"], dtype=object)},
        {"ra": np.array(["150 deg", "151 deg"])},
        {"psfFlux": np.array([(1.0, 2), (3.0, 4)], dtype="f8,i8")},
    ],
)
def test_a_column_that_is_read_must_hold_numbers(changed: dict[str, Any]) -> None:
    (name,) = changed
    with pytest.raises(CatalogError, match=f"'{name}'"):
        dia_source_batch(Table(columns(**changed)))


@pytest.mark.parametrize("make", [pa.Table.from_pandas, lambda frame: frame], ids=["arrow", "pandas"])
def test_a_column_that_is_there_twice_is_refused(make: Any) -> None:
    frame = pd.DataFrame(columns())
    twice = pd.concat([frame, frame[["ra"]]], axis=1)
    table = twice if make is not pa.Table.from_pandas else pa.table([[1], [2]], names=["ra", "ra"])
    with pytest.raises(CatalogError, match="'ra' 2 times"):
        dia_source_batch(table)


def test_what_float32_cannot_hold_is_missing() -> None:
    sources = dia_source_batch(pd.DataFrame(columns(psfFlux=[1e39, -np.inf])))
    assert sources.column("psfFlux").to_pylist() == [None, None]


@pytest.mark.parametrize("nothing", [pd.DataFrame(), Table(), pa.table({}), pd.DataFrame({"diaSourceId": []})])
def test_a_catalogue_of_nothing_is_no_source(nothing: Any) -> None:
    assert dia_source_batch(nothing).num_rows == 0


def test_masked_quantities_are_missing() -> None:
    table = QTable(with_units({"psfFlux": "mJy"}), masked=True)
    table["psfFlux"].mask[1] = True
    assert dia_source_batch(table).column("psfFlux").to_pylist() == [1e9, None]


def test_times_become_mjd_tai() -> None:
    table = Table({"midpointMjdTai": Time([60_000.0], format="mjd", scale="utc")})
    (mjd,) = arrow_table(table, {"midpointMjdTai"}).column("midpointMjdTai").to_pylist()
    assert mjd == pytest.approx(60_000.0 + 37 / 86_400, abs=1e-9)


@pytest.mark.parametrize("name", ["diaSourceId", "ra", "psfFlux", "psfNdata", "ssObjectId"])
@pytest.mark.parametrize("kind", [pa.date64(), pa.time64("us"), pa.duration("s"), pa.timestamp("ns"), pa.bool_()])
def test_dates_and_truth_values_are_no_numbers(name: str, kind: pa.DataType) -> None:
    values = pa.array([1, 2], pa.int64())
    odd = pa.array([True, False]) if kind == pa.bool_() else values.cast(kind)
    with pytest.raises(CatalogError, match=f"'{name}' is .*; it must be a column of numbers"):
        dia_source_batch(pa.table(columns(**{name: odd})))


def test_a_truth_value_that_is_nan_is_missing() -> None:
    batch = dia_source_batch(Table(columns(isDipole=np.array([np.nan, 1.0]))))
    assert batch.column("isDipole").to_pylist() == [None, True]


@pytest.mark.parametrize("values", [np.array([2, 1]), np.array([0.5, 1.0]), np.array([2**63 + 1, 0], np.uint64)])
def test_a_truth_value_is_0_or_1(values: np.ndarray[Any, Any]) -> None:
    with pytest.raises(CatalogError, match="'isDipole' has 1 values that are neither 0 nor 1"):
        dia_source_batch(Table(columns(isDipole=values)))


def test_a_number_beyond_any_type_is_named_with_its_column() -> None:
    with pytest.raises(CatalogError, match="column 'diaSourceId' cannot be read"):
        dia_source_batch(pd.DataFrame(columns(diaSourceId=pd.Series([2**70, 1], dtype=object))))
