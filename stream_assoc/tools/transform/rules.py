"""How one column is made: the small, closed language of a column mapping.

A rule is data, never code: nothing of a mapping file is evaluated.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stream_assoc.core.model.times import SECONDS_PER_DAY, utc_to_tai
from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.tools.transform.conversion import mask_of, mjd_utc, plain
from stream_assoc.tools.transform.magnitudes import AbFlux

Scalar = bool | int | float | str

_ORIGINS: Final = ("column", "constant", "ratio", "ab_flux")


@dataclass(frozen=True, slots=True)
class RuleValues:
    """What a rule makes of a table.

    Attributes
    ----------
    values : `pyarrow.Array`
        One value a row, of whatever type results; identifiers stay integers.
    unknown : `numpy.ndarray` [bool], shape (n,)
        Rows whose value the rule does not know; they are null.
    """

    values: pa.Array
    unknown: BoolArray


class ColumnRule(BaseModel):
    """One column of the result, from the columns of a table.

    Exactly one of ``column``, ``constant``, ``ratio`` and ``ab_flux`` says where values come
    from; the others are applied in the order in which they are listed here.

    Attributes
    ----------
    column : `str` or `tuple` [`str`, ...], optional
        Take this column, or the first of several that the table has.
        Timestamps become MJD.
    constant : optional
        Give every row this value.
    ratio : `tuple` [`str`, `str`], optional
        Divide the first column by the second; null where the second is 0.
    ab_flux : `~stream_assoc.tools.transform.magnitudes.AbFlux`, optional
        Make nJy of an AB magnitude.
    null : `list`, optional
        Values of ``column`` that stand for "not measured".
    equals : optional
        Make a boolean: whether ``column`` holds this value.
    values : `dict`, optional
        Replace each value of ``column``, written as a string, by another one.
        Rows with a value that is not named are left out.
    floor_divide : `int`, optional
        How many times this goes into the whole numbers of ``column``: an identifier without its last digits.
    absolute : `bool`
        Take the absolute value.
    scale, offset : `float`
        Multiply by ``scale``, then add ``offset``: a change of unit.
    time_scale : ``"tai"`` or ``"utc"``, optional
        Of a column of MJD or of timestamps; ``utc`` is turned into TAI. By
        default numbers are TAI, and timestamps UTC.
    offset_seconds : `float`
        Added to a column of MJD, such as half an exposure.
    half_of : `str`, optional
        A column of seconds, half of which is added instead where there is one.
    default : optional
        Replaces null.
    optional : `bool`
        Whether the result is null where the table lacks the column; by default
        that is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | tuple[str, ...] | None = None
    constant: Scalar | None = None
    ratio: tuple[str, str] | None = None
    ab_flux: AbFlux | None = None
    null: tuple[Scalar, ...] = ()
    equals: Scalar | None = None
    values: dict[str, Scalar] = Field(default_factory=dict)
    floor_divide: int | None = Field(default=None, gt=0)
    absolute: bool = False
    scale: float = 1.0
    offset: float = 0.0
    time_scale: Literal["tai", "utc"] | None = None
    offset_seconds: float = 0.0
    half_of: str | None = None
    default: Scalar | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [name for name in _ORIGINS if getattr(self, name) not in (None, ())]
        if len(origins) != 1:
            raise ValueError(f"give exactly one of {', '.join(_ORIGINS)}, not {origins or 'none'}")
        if self.column is None and (self.null or self.values or self.equals is not None or self.floor_divide):
            raise ValueError("null, equals, values and floor_divide need a column")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every column this rule may read."""
        return self._origins if self.half_of is None else (*self._origins, self.half_of)

    @property
    def _origins(self) -> tuple[str, ...]:
        if self.ratio is not None:
            return self.ratio
        if self.ab_flux is not None:
            return self.ab_flux.inputs
        if self.column is None:
            return ()
        return (self.column,) if isinstance(self.column, str) else self.column

    def missing(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the columns that a table of these columns lacks for this rule; of several, all if it has none."""
        absent = tuple(name for name in self._origins if name not in names)
        return absent if self.column is None or len(absent) == len(self._origins) else ()

    @property
    def keeps_unit(self) -> bool:
        """Whether the result is in the unit of the column."""
        return (
            self.column is not None
            and (self.scale, self.offset) == (1.0, 0.0)
            and not self.values
            and not self.floor_divide
        )

    @property
    def _is_arithmetic(self) -> bool:
        return (
            self.absolute
            or (self.scale, self.offset, self.offset_seconds) != (1.0, 0.0, 0.0)
            or self.time_scale == "utc"
            or self.half_of is not None
        )

    def evaluate(self, table: pa.Table) -> RuleValues:
        """Return the column this rule makes of ``table``.

        Parameters
        ----------
        table : `pyarrow.Table`
            Is `missing` no column.
        """
        values = self._origin(table)
        unknown = np.zeros(len(values), np.bool_)
        if pa.types.is_null(values.type):
            # A column in which nothing was ever written has no type, and only a default makes anything of it.
            given = values if self.default is None else pa.repeat(pa.scalar(self.default), len(values))
            return RuleValues(given, unknown)
        if self.null:
            values = pc.if_else(pc.is_in(values, pa.array(self.null).cast(values.type)), None, values)
        if self.equals is not None:
            values = pc.equal(values, pa.scalar(self.equals).cast(values.type))
        if self.values:
            replaced = self._replaced(values)
            unknown = mask_of(pc.and_(pc.is_null(replaced), pc.is_valid(values)))
            values = replaced
        if self.floor_divide is not None:
            values = pc.divide(values.cast(pa.int64()), pa.scalar(self.floor_divide, pa.int64()))
        values = self._arithmetic(values, table)
        if self.default is not None:
            values = pc.fill_null(values, pa.scalar(self.default).cast(values.type))
        return RuleValues(values, unknown)

    def _origin(self, table: pa.Table) -> pa.Array:
        if self.ratio is not None:
            above, below = (table.column(name).cast(pa.float64()) for name in self.ratio)
            return plain(pc.divide(above, pc.if_else(pc.equal(below, 0.0), None, below)))
        if self.ab_flux is not None:
            return self.ab_flux.evaluate(table)
        if self.column is not None:
            present = set(table.schema.names)
            return plain(table.column(next(name for name in self._origins if name in present)))
        return pa.repeat(pa.scalar(self.constant), table.num_rows)

    def _replaced(self, values: pa.Array) -> pa.Array:
        found = pc.index_in(values.cast(pa.string()), pa.array(self.values))
        return pa.array(list(self.values.values())).take(found)

    def _arithmetic(self, values: pa.Array, table: pa.Table) -> pa.Array:
        is_timestamp = pa.types.is_timestamp(values.type)
        if not (is_timestamp or self._is_arithmetic):
            return values
        missing = mask_of(values.is_null())
        given = mjd_utc(values) if is_timestamp else values.cast(pa.float64(), safe=False)
        numbers = np.asarray(given.to_numpy(zero_copy_only=False), dtype=np.float64)
        if self.absolute:
            numbers = np.abs(numbers)
        numbers = numbers * self.scale + self.offset
        if self.time_scale == "utc" or (is_timestamp and self.time_scale is None):
            numbers = utc_to_tai(numbers)
        numbers = numbers + self._seconds(table) / SECONDS_PER_DAY
        return pa.array(numbers, mask=missing)

    def _seconds(self, table: pa.Table) -> FloatArray | float:
        if self.half_of is None or self.half_of not in table.schema.names:
            return self.offset_seconds
        half = plain(table.column(self.half_of)).cast(pa.float64()).to_numpy(zero_copy_only=False) / 2.0
        return np.where(np.isnan(half), self.offset_seconds, half)


def _as_rule(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    return {"column": value} if isinstance(value, str | list) else value


Rule = Annotated[ColumnRule, BeforeValidator(_as_rule)]
"""A rule as a mapping file writes it: a table, or just the name of a column, or several of which one is there."""


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

    def mask(self, table: pa.Table) -> BoolArray:
        """Return which rows pass."""
        values = plain(table.column(self.column))
        passes = pc.is_valid(values)
        if self.is_in is not None:
            passes = pc.and_(passes, pc.is_in(values, pa.array(self.is_in).cast(values.type)))
        if self.is_not_in is not None:
            passes = pc.and_(passes, pc.invert(pc.is_in(values, pa.array(self.is_not_in).cast(values.type))))
        if self.at_least is not None:
            passes = pc.and_(passes, pc.greater_equal(values, self.at_least))
        if self.below is not None:
            passes = pc.and_(passes, pc.less(values, self.below))
        return mask_of(pc.fill_null(passes, False))
