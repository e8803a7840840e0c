"""How one column is made: the small, closed language of a column mapping.

A rule is data, never code: nothing of a mapping file is evaluated.
"""

from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stream_assoc.transform.exceptions import MappingError
from stream_assoc.transform.times import SECONDS_PER_DAY, utc_to_tai

Scalar = bool | int | float | str


class ColumnRule(BaseModel):
    """One column of the result, from the columns of a table.

    Exactly one of ``column``, ``constant`` and ``ratio`` says where values come
    from; the others are applied in the order in which they are listed here.

    Attributes
    ----------
    column : `str`, optional
        Take this column.
    constant : optional
        Give every row this value.
    ratio : `tuple` [`str`, `str`], optional
        Divide the first column by the second; null where the second is 0.
    null : `list`, optional
        Values of ``column`` that stand for "not measured".
    equals : optional
        Make a boolean: whether ``column`` holds this value.
    values : `dict`, optional
        Replace each value of ``column``, written as a string, by another one.
    absolute : `bool`
        Take the absolute value.
    scale, offset : `float`
        Multiply by ``scale``, then add ``offset``: a change of unit.
    time_scale : ``"tai"`` or ``"utc"``
        Of a column of MJD; ``utc`` is turned into TAI.
    offset_seconds : `float`
        Added to a column of MJD, such as half an exposure.
    default : optional
        Replaces null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    constant: Scalar | None = None
    ratio: tuple[str, str] | None = None
    null: tuple[Scalar, ...] = ()
    equals: Scalar | None = None
    values: dict[str, Scalar] = Field(default_factory=dict)
    absolute: bool = False
    scale: float = 1.0
    offset: float = 0.0
    time_scale: Literal["tai", "utc"] = "tai"
    offset_seconds: float = 0.0
    default: Scalar | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [name for name in ("column", "constant", "ratio") if getattr(self, name) is not None]
        if len(origins) != 1:
            raise ValueError(f"give exactly one of column, constant and ratio, not {origins or 'none'}")
        if self.column is None and (self.null or self.values or self.equals is not None):
            raise ValueError("null, equals and values need a column")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns this rule reads."""
        if self.ratio is not None:
            return self.ratio
        return () if self.column is None else (self.column,)

    @property
    def _is_arithmetic(self) -> bool:
        return (
            self.absolute
            or (self.scale, self.offset, self.offset_seconds) != (1.0, 0.0, 0.0)
            or self.time_scale != "tai"
        )

    def evaluate(self, table: pa.Table) -> pa.Array:
        """Return the column this rule makes of ``table``; identifiers stay integers.

        Parameters
        ----------
        table : `pyarrow.Table`
            Has every column of `inputs`.

        Returns
        -------
        values : `pyarrow.Array`
            One value a row, of whatever type results.
        """
        values = self._origin(table)
        if self.null:
            values = pc.if_else(pc.is_in(values, pa.array(self.null).cast(values.type)), None, values)
        if self.equals is not None:
            values = pc.equal(values, pa.scalar(self.equals).cast(values.type))
        if self.values:
            values = self._replaced(values)
        if self._is_arithmetic:
            values = self._arithmetic(values)
        return values if self.default is None else pc.fill_null(values, pa.scalar(self.default).cast(values.type))

    def _origin(self, table: pa.Table) -> pa.Array:
        if self.ratio is not None:
            above, below = (table.column(name).cast(pa.float64()) for name in self.ratio)
            return _combined(pc.divide(above, pc.if_else(pc.equal(below, 0.0), None, below)))
        if self.column is not None:
            return _combined(table.column(self.column))
        return pa.repeat(pa.scalar(self.constant), table.num_rows)

    def _replaced(self, values: pa.Array) -> pa.Array:
        keys = pa.array(self.values)
        found = pc.index_in(values.cast(pa.string()), keys)
        unknown = pc.unique(values.filter(pc.and_(pc.is_null(found), pc.is_valid(values)))).to_pylist()
        if unknown:
            raise MappingError(f"column {self.column!r} holds {unknown[:5]}, which its 'values' do not name")
        return pa.array(list(self.values.values())).take(found)

    def _arithmetic(self, values: pa.Array) -> pa.Array:
        missing = values.is_null()
        numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        if self.absolute:
            numbers = np.abs(numbers)
        numbers = numbers * self.scale + self.offset
        if self.time_scale == "utc":
            numbers = utc_to_tai(numbers)
        numbers = numbers + self.offset_seconds / SECONDS_PER_DAY
        return pa.array(numbers, mask=missing.to_numpy(zero_copy_only=False))


def _combined(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _as_rule(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    return {"column": value} if isinstance(value, str) else value


Rule = Annotated[ColumnRule, BeforeValidator(_as_rule)]
"""A rule as a mapping file writes it: a table, or just the name of a column."""


class RowFilter(BaseModel):
    """Which rows of a table belong to the survey: those where the comparison holds.

    Attributes
    ----------
    column : `str`
        Compared column; a null never passes.
    is_in, is_not_in : `tuple`, optional
        The values that pass, or that do not.
    at_least, below : `float`, optional
        The range that passes, its upper end excluded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    is_in: tuple[Scalar, ...] | None = None
    is_not_in: tuple[Scalar, ...] | None = None
    at_least: float | None = None
    below: float | None = None

    def mask(self, table: pa.Table) -> pa.Array:
        """Return which rows pass, as booleans without nulls."""
        values = _combined(table.column(self.column))
        passes = pc.is_valid(values)
        if self.is_in is not None:
            passes = pc.and_(passes, pc.is_in(values, pa.array(self.is_in).cast(values.type)))
        if self.is_not_in is not None:
            passes = pc.and_(passes, pc.invert(pc.is_in(values, pa.array(self.is_not_in).cast(values.type))))
        if self.at_least is not None:
            passes = pc.and_(passes, pc.greater_equal(values, self.at_least))
        if self.below is not None:
            passes = pc.and_(passes, pc.less(values, self.below))
        return pc.fill_null(passes, False)
