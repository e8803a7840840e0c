"""Flags in the bits of an integer, and out again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.tasks.exceptions import FlagMapError
from stream_assoc.tasks.flags import UnpackApdbFlags, pack, read_flag_map

FLAGS = read_flag_map()["flags"]


@given(st.lists(st.sets(st.sampled_from([flag.name for flag in FLAGS])), max_size=20))
def test_what_is_packed_is_unpacked(rows) -> None:
    values = {flag.name: np.array([flag.name in row for row in rows], np.bool_) for flag in FLAGS}
    unpacked = UnpackApdbFlags().unpack(pack(FLAGS, values))
    for name, column in values.items():
        np.testing.assert_array_equal(unpacked[name], column)


def test_every_flag_becomes_a_boolean_column_of_the_schema() -> None:
    table = apdb_table("DiaSource")
    assert {table.column(flag.column or "").datatype for flag in FLAGS} == {"boolean"}


@pytest.mark.parametrize(
    ("name", "bit"),
    [("base_PixelFlags_flag", 0), ("slot_ApFlux_flag", 15), ("base_PixelFlags_flag_nodataCenter", 35)],
)
def test_bits_are_upstream_s(name: str, bit: int) -> None:
    unpacked = UnpackApdbFlags().unpack(np.array([1 << bit], np.uint64), "flags")
    assert [field for field in unpacked.dtype.names or () if unpacked[field][0]] == [name]


def test_flag_exists() -> None:
    flags = UnpackApdbFlags()
    assert flags.flagExists("base_PixelFlags_flag_edge")
    assert not flags.flagExists("base_PixelFlags_flag_blue")
    with pytest.raises(ValueError, match="no column 'colours', it has flags"):
        flags.flagExists("base_PixelFlags_flag_edge", "colours")


def test_bit_mask() -> None:
    flags = UnpackApdbFlags()
    assert flags.makeFlagBitMask(["base_PixelFlags_flag_edge", "base_PixelFlags_flag_nodataCenter"]) == 2**2 + 2**35
    with pytest.raises(ValueError, match="no flag blue"):
        flags.makeFlagBitMask(["blue"])


def test_floats_are_refused() -> None:
    with pytest.raises(FlagMapError, match="not float64"):
        UnpackApdbFlags().unpack([1.0], "flags")


def test_a_map_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(
        "tableName: Other\ncolumns: []\n---\n"
        "tableName: DiaSource\ncolumns:\n- columnName: flags\n  bitList:\n  - {name: a, bit: 1, doc: text}\n"
    )
    assert UnpackApdbFlags(file, "DiaSource").unpack([2, 1])["a"].tolist() == [True, False]
    with pytest.raises(FlagMapError, match="no table 'DiaObject'"):
        UnpackApdbFlags(file, "DiaObject")


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("[{name: a, bit: 1}, {name: b, bit: 1}]", "a bit twice"),
        ("[{name: a, bit: 1}, {name: a, bit: 2}]", "a name twice"),
        ("[{name: a, bit: 63}]", "from 0 to 62"),
    ],
)
def test_contradictions_are_told(tmp_path: Path, bits: str, message: str) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(f"tableName: DiaSource\ncolumns:\n- columnName: flags\n  bitList: {bits}\n")
    with pytest.raises(FlagMapError, match=message):
        read_flag_map(file)


def test_a_missing_map_is_told() -> None:
    with pytest.raises(FlagMapError, match=r"nowhere\.yaml cannot be read"):
        read_flag_map("nowhere.yaml")
