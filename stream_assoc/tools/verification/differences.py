"""Two runs compared: which rows and which columns differ, within a tolerance."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import BoolArray, IntArray

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far numbers may be apart: ``|left - right| <= absolute + relative * max(|left|, |right|)``."""

    relative: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """Where a column differs.

    Attributes
    ----------
    name : `str`
    n_rows : `int`
        Rows in which it does.
    greatest : `float` or `None`
        Greatest absolute difference, where both are numbers.
    example : `str`
        The first such row, with both values.
    """

    name: str
    n_rows: int
    greatest: float | None
    example: str


@dataclass(frozen=True, slots=True)
class TableDifference:
    """How two tables of one kind differ.

    Attributes
    ----------
    name : `str`
    n_left, n_right : `int`
        Rows.
    only_left, only_right : `tuple` [`str`, ...]
        Keys of some rows that only one side has.
    n_only_left, n_only_right : `int`
        How many there are.
    columns : `tuple` [`ColumnDifference`, ...]
        Over the rows that both have.
    n_rows_differ : `int`
        Rows that both have, with a difference in any column.
    """

    name: str
    n_left: int
    n_right: int
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    n_only_left: int
    n_only_right: int
    columns: tuple[ColumnDifference, ...]
    n_rows_differ: int

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.n_only_left or self.n_only_right or self.n_rows_differ)


def compare(
    name: str,
    left: pa.Table,
    right: pa.Table,
    keys: Sequence[str],
    *,
    tolerance: Tolerance,
    ignored: Collection[str] = (),
) -> TableDifference:
    """Compare two tables row by row.

    Parameters
    ----------
    name : `str`
        What they are, for the report.
    left, right : `pyarrow.Table`
        Tables of the same columns.
    keys : `~collections.abc.Sequence` [`str`]
        Integer columns that name a row, together unique in each table.
    tolerance : `Tolerance`
        For floating-point columns; NaN equals NaN, null equals null, and in
        these columns both mean that there is no value.
    ignored : `~collections.abc.Collection` [`str`]
        Columns left out.

    Raises
    ------
    ValueError
        If a key occurs twice in one table.
    """
    left_code, right_code = _codes(left, right, keys)
    common, left_row, right_row = np.intersect1d(left_code, right_code, assume_unique=True, return_indices=True)
    only_left = np.flatnonzero(~np.isin(left_code, common))
    only_right = np.flatnonzero(~np.isin(right_code, common))
    ours, theirs = left.take(left_row), right.take(right_row)
    is_different = np.zeros(len(common), np.bool_)
    columns = []
    for column in left.column_names:
        if column in keys or column in ignored:
            continue
        rows, greatest = _unequal(ours[column], theirs[column], tolerance)
        if rows.any():
            is_different |= rows
            first = int(np.flatnonzero(rows)[0])
            example = f"{_key(ours, keys, first)}: {ours[column][first].as_py()} and {theirs[column][first].as_py()}"
            columns.append(ColumnDifference(column, int(rows.sum()), greatest, example))
    return TableDifference(
        name=name,
        n_left=left.num_rows,
        n_right=right.num_rows,
        only_left=tuple(_key(left, keys, row) for row in only_left[:_SHOWN].tolist()),
        only_right=tuple(_key(right, keys, row) for row in only_right[:_SHOWN].tolist()),
        n_only_left=len(only_left),
        n_only_right=len(only_right),
        columns=tuple(sorted(columns, key=lambda one: -one.n_rows)),
        n_rows_differ=int(is_different.sum()),
    )


def _codes(left: pa.Table, right: pa.Table, keys: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return one number a row, the same in both tables for the same key."""
    rows = np.stack(
        [
            np.concatenate([np.asarray(side[key].cast(pa.int64()).to_numpy()) for side in (left, right)])
            for key in keys
        ],
        axis=1,
    )
    codes = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    ours, theirs = codes[: left.num_rows], codes[left.num_rows :]
    for side in (ours, theirs):
        if len(np.unique(side)) != len(side):
            raise ValueError(f"{', '.join(keys)} does not name one row")
    return ours, theirs


def _unequal(left: pa.ChunkedArray, right: pa.ChunkedArray, tolerance: Tolerance) -> tuple[BoolArray, float | None]:
    if pa.types.is_floating(left.type):
        return _apart(_floats(left), _floats(right), tolerance)
    is_null = pc.is_null(left), pc.is_null(right)
    same = pc.or_(pc.fill_null(pc.equal(left, right), False), pc.and_(*is_null))
    rows = ~np.asarray(same.to_numpy(), np.bool_)
    if not pa.types.is_integer(left.type) or not rows.any():
        return rows, None
    # Not through float64, which would take neighbouring ids for equal.
    pairs = zip(left.filter(pa.array(rows)).to_pylist(), right.filter(pa.array(rows)).to_pylist(), strict=True)
    gaps = [abs(one - other) for one, other in pairs if one is not None and other is not None]
    return rows, float(max(gaps)) if gaps else None


def _apart(left: npt.NDArray[Any], right: npt.NDArray[Any], tolerance: Tolerance) -> tuple[BoolArray, float | None]:
    with np.errstate(invalid="ignore"):
        gap = np.abs(left - right)
        allowed = tolerance.absolute + tolerance.relative * np.maximum(np.abs(left), np.abs(right))
        same = (left == right) | (gap <= allowed) | (np.isnan(left) & np.isnan(right))
    rows = ~same
    gaps = gap[rows & np.isfinite(gap)]
    return rows, float(gaps.max()) if len(gaps) else None


def _floats(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _key(table: pa.Table, keys: Sequence[str], row: int) -> str:
    return ".".join(str(table[key][row].as_py()) for key in keys)
