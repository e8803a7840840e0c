"""Which columns and rows of a table a mapping takes, before anything is converted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import BoolArray
from stream_assoc.tools.transform.conversion import plain
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.mapping import Mapping

N_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that were set aside for one reason.

    Attributes
    ----------
    reason : `str`
    n_rows : `int`
    rows : `tuple` [`int`, ...]
        The first of them, counted from 0.
    """

    reason: str
    n_rows: int
    rows: tuple[int, ...]


class Sieve:
    """Keeps count of the rows of a table that are still believed. A row is set aside once, for the first reason.

    Parameters
    ----------
    n_rows : `int`

    Attributes
    ----------
    kept : `numpy.ndarray` [bool], shape (n_rows,)
        Rows that no check has set aside.
    """

    def __init__(self, n_rows: int) -> None:
        self.kept: BoolArray = np.ones(n_rows, np.bool_)
        self._left_out: dict[str, LeftOut] = {}

    def leave_out(self, failing: BoolArray, reason: str) -> None:
        """Set aside the rows that fail a check and are still kept."""
        rows = np.flatnonzero(failing & self.kept)
        if not len(rows):
            return
        self.kept[rows] = False
        before = self._left_out.get(reason, LeftOut(reason, 0, ()))
        examples = (*before.rows, *rows[:N_EXAMPLES].tolist())[:N_EXAMPLES]
        self._left_out[reason] = LeftOut(reason, before.n_rows + len(rows), examples)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was set aside, in the order of the checks."""
        return tuple(self._left_out.values())


def selected_columns(table: pa.Table, mapping: Mapping) -> pa.Table:
    """Return the columns that a mapping may read, fields of structs under their dotted names.

    No other column is looked at, whatever it holds.

    Raises
    ------
    MappingError
        If the table has none of them, or one of them twice.
    """
    wanted = mapping.inputs()
    paths = [path for path in column_paths(table.schema) if ".".join(path) in wanted]
    names = [".".join(path) for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MappingError(
            f"the table has more than one column {', '.join(twice)}: which of them is meant cannot be told; rename "
            "or leave out the others"
        )
    if not names:
        raise MappingError(f"{mapping.file}: the table has none of the columns that the mapping names")
    return pa.table({name: _taken(table, path) for name, path in zip(names, paths, strict=True)})


def column_paths(schema: pa.Schema) -> list[tuple[str, ...]]:
    """Return the way to every column, through structs to their fields."""
    return [path for field in schema for path in _paths(field)]


def select_rows(table: pa.Table, mapping: Mapping, sieve: Sieve) -> None:
    """Leave out the rows that are not the survey's, and those that repeat another.

    Parameters
    ----------
    table : `pyarrow.Table`
        From `selected_columns`.
    mapping : `Mapping`
    sieve : `Sieve`
        Told which rows are left out.

    Raises
    ------
    MappingError
        If the table lacks a column that a filter names, or has it of another kind.
    """
    for row_filter in mapping.where:
        require(table, row_filter.column, "a 'where' filter", mapping)
        try:
            passes = row_filter.mask(table)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            kind = table.schema.field(row_filter.column).type
            raise MappingError(
                f"{mapping.file}: a 'where' filter cannot be compared with {row_filter.column!r} ({kind}): {error}"
            ) from error
        sieve.leave_out(~passes, "not of the survey, by the mapping's 'where'")
    if mapping.unique is not None:
        require(table, mapping.unique, "'unique'", mapping)
        rows = np.flatnonzero(sieve.kept)
        try:
            keys = pa.table({"key": plain(table.column(mapping.unique)).take(pa.array(rows)), "row": rows})
            first = keys.group_by("key").aggregate([("row", "min")]).column("row_min").to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            kind = table.schema.field(mapping.unique).type
            raise MappingError(
                f"{mapping.file}: 'unique' cannot compare {mapping.unique!r} ({kind}): {error}"
            ) from error
        repeated = sieve.kept.copy()
        repeated[first] = False
        sieve.leave_out(repeated, f"{mapping.unique} repeated, of which the first row is taken")


def require(table: pa.Table, column: str, purpose: str, mapping: Mapping) -> None:
    """Raise `MappingError` if a table lacks a column."""
    if column not in table.schema.names:
        raise MappingError(
            f"{mapping.file}: the table has no column {column!r}, which the mapping needs for {purpose}"
        )


def _paths(field: pa.Field) -> Iterator[tuple[str, ...]]:
    if not pa.types.is_struct(field.type):
        yield (field.name,)
        return
    for child in field.type:
        for path in _paths(child):
            yield (field.name, *path)


def _taken(table: pa.Table, path: tuple[str, ...]) -> pa.ChunkedArray:
    column = table.column(path[0])
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column
