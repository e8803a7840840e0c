"""The columns of DIASources that a mapping makes of a table, and those that it cannot make."""

import difflib
import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from stream_assoc.core.model.batch import measured_columns
from stream_assoc.core.model.schema import Column, apdb_table
from stream_assoc.core.model.types import BAD_FLAGS
from stream_assoc.tools.transform.conversion import Converted, converted
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.mapping import Mapping
from stream_assoc.tools.transform.rules import ColumnRule
from stream_assoc.tools.transform.selection import Sieve

REQUIRED: Final = ("psfFlux", "psfFluxErr")
"""Columns that may be null by the schema, but of which nearly every statistic is made."""

PURPOSES: Final = (
    ("statistics", ("psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr")),
    ("association", ("raErr", "decErr")),
    ("new objects", ("reliability", *BAD_FLAGS)),
)
"""What reads columns that may be null."""

_VISIT_UNITS: Final = {"midpointMjdTai": "d", "arrival": "d", "exposureTime": "s"}
_VISIT_TYPES: Final = {"visit": pa.int64(), "detector": pa.int64(), "band": pa.string()}
_LIKENESS: Final = 0.9
_N_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class MissingColumns:
    """DIASource columns that are null in every row.

    Attributes
    ----------
    names : `tuple` [`str`, ...]
        In the order of the schema.
    alike : `dict` [`str`, `str`]
        A column of the table that nothing reads and whose name is nearly theirs.
    """

    names: tuple[str, ...]
    alike: dict[str, str]

    def told(self, name: str) -> str:
        """Return a column's name, and which one of the table may be meant."""
        return f"{name} (is it {self.alike[name]!r}?)" if name in self.alike else name


@dataclass(frozen=True, slots=True)
class Detections:
    """A table in the columns that batches are made of, its rows those of the table.

    Attributes
    ----------
    visits : `dict` [`str`, `pyarrow.Array`]
        ``visit``, ``detector``, ``band``, ``midpointMjdTai``,
        ``exposureTime`` and ``arrival``; each may be null in any row.
    sources : `dict` [`str`, `pyarrow.Array`]
        Every measured column in its Rubin type. A required one may be null in any row.
    missing : `MissingColumns`
    """

    visits: dict[str, pa.Array]
    sources: dict[str, pa.Array]
    missing: MissingColumns


@functools.cache
def measured_schema() -> pa.Schema:
    """Return the Arrow schema of a batch's sources: the measured columns in Rubin's types."""
    table = apdb_table("DiaSource")
    return pa.schema([table.column(name).arrow_field() for name in measured_columns()])


def detections_of(
    table: pa.Table,
    mapping: Mapping,
    sieve: Sieve,
    *,
    unread: Collection[str] = (),
    units: dict[str, str] | None = None,
) -> Detections:
    """Convert the columns of a table.

    Parameters
    ----------
    table : `pyarrow.Table`
        From `~stream_assoc.tools.transform.selection.selected_columns`.
    mapping : `Mapping`
    sieve : `Sieve`
        Told which rows hold values that cannot be converted.
    unread : `~collections.abc.Collection` [`str`], optional
        Names of further columns, which may be misspelt ones.
    units : `dict` [`str`, `str`], optional
        Units that columns of the table say they are in. What is in another
        one than Rubin's is converted, unless its rule scales it.

    Raises
    ------
    MappingError
        If a column that is needed is missing, or of a kind or unit that cannot be converted.
    """
    maker = _Maker(table, mapping, sieve, unread, units or {})
    visits = {
        name: maker.visit_column(name, rule)
        for name, rule in mapping.batch.rules().items()
        if not (name == "arrival" or rule.optional) or not rule.missing(table.schema.names)
    }
    for name in ("exposureTime", "arrival"):
        visits.setdefault(name, pa.nulls(table.num_rows, pa.float64()))
    definition = apdb_table("DiaSource")
    sources = {name: maker.source_column(definition.column(name)) for name in measured_columns()}
    null = tuple(name for name, values in sources.items() if len(values) and values.null_count == len(values))
    return Detections(visits, sources, MissingColumns(null, _alike(null, unread)))


class _Maker:
    """Makes columns of one table by one mapping."""

    def __init__(
        self, table: pa.Table, mapping: Mapping, sieve: Sieve, unread: Collection[str], units: dict[str, str]
    ) -> None:
        self._units = units
        self._table = table
        self._mapping = mapping
        self._sieve = sieve
        self._unread = unread

    def visit_column(self, name: str, rule: ColumnRule) -> pa.Array:
        self._require(f"batch.{name}", rule)
        target_type = _VISIT_TYPES.get(name, pa.float64())
        return self._made(f"batch.{name}", rule, target_type, _VISIT_UNITS.get(name, ""), required=True)

    def source_column(self, column: Column) -> pa.Array:
        rule = self._mapping.rule(column.name)
        if rule is None or self._may_lack(column, rule):
            return self._without(column)
        self._require(column.name, rule)
        values = self._made(column.name, rule, column.arrow_type, column.unit, required=not column.nullable)
        return values if _is_measured(column) else _filled(values, column)

    def _may_lack(self, column: Column, rule: ColumnRule) -> bool:
        is_named = column.name in self._mapping.columns and not rule.optional
        return not is_named and bool(rule.missing(self._table.schema.names))

    def _without(self, column: Column) -> pa.Array:
        if column.name in REQUIRED and column.name not in self._mapping.absent:
            raise MappingError(
                f"{self._mapping.file}: {self._has_none(column.name)}, which the statistics are made of; in a "
                f'mapping file of your own give it a rule in [columns], or say absent = ["{column.name}"]'
            )
        n_rows = self._table.num_rows
        if column.nullable:
            return pa.nulls(n_rows, column.arrow_type)
        if _is_measured(column):
            raise MappingError(
                f"{self._mapping.file}: {self._has_none(column.name)}, which every DiaSource needs; give it a rule "
                "in [columns]"
            )
        return _filled(pa.nulls(n_rows, column.arrow_type), column)

    def _has_none(self, name: str) -> str:
        namesake = self._mapping.prefix + name
        alike = _alike((name,), self._unread)
        return f"the table has no column {namesake!r}" + (f" (is it {alike[name]!r}?)" if alike else "")

    def _require(self, target: str, rule: ColumnRule) -> None:
        missing = rule.missing(self._table.schema.names)
        if missing:
            raise MappingError(
                f"{self._mapping.file}: the table has no column {' or '.join(map(repr, missing))}, which the mapping "
                f"needs for {target!r}; it has {_listed(self._table.schema.names, self._unread)}"
            )

    def _made(
        self, target: str, rule: ColumnRule, target_type: pa.DataType, unit: str, *, required: bool
    ) -> pa.Array:
        self._refuse_dates(target, rule, target_type, unit)
        try:
            evaluated = rule.evaluate(self._table)
            values = self._in_unit(evaluated.values, rule, target_type, unit)
            made = self._converted(target, values, target_type, required=required)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise MappingError(
                f"{self._mapping.file}: {target!r} cannot be made {target_type} of "
                f"{_origin(rule, self._table)}: {error}"
            ) from error
        self._sieve.leave_out(evaluated.unknown, f"{target} has a value that its rule's 'values' does not name")
        if made.unfit.any():
            self._sieve.leave_out(made.unfit, f"{target} {_unfit(evaluated.values.type, target_type)}")
        return made.values

    def _refuse_dates(self, target: str, rule: ColumnRule, target_type: pa.DataType, unit: str) -> None:
        """Refuse dates wherever days are not wanted: a rule makes an MJD of them."""
        if kinds.is_floating(target_type) and unit == "d":
            return
        given = (self._table.schema.field(name).type for name in rule.inputs if name in self._table.schema.names)
        if any(kinds.is_temporal(kind) for kind in given):
            raise MappingError(
                f"{self._mapping.file}: {target!r} cannot be made of {_origin(rule, self._table)}: it is no date"
            )

    def _in_unit(self, values: pa.Array, rule: ColumnRule, target_type: pa.DataType, unit: str) -> pa.Array:
        column = next((name for name in rule.inputs if name in self._table.schema.names), "")
        given = self._units.get(column, "")
        if given in {"", unit} or not rule.keeps_unit or not kinds.is_floating(target_type):
            return values
        from stream_assoc.core.model.units import UnitError, unit_factor

        try:
            factor = unit_factor(given, unit, column)
        except UnitError as error:
            raise MappingError(f"{self._mapping.file}: {error}") from None
        return values if factor == 1.0 else pc.multiply(values.cast(pa.float64(), safe=False), factor)

    def _converted(self, target: str, values: pa.Array, target_type: pa.DataType, *, required: bool) -> Converted:
        if required and kinds.is_int64(target_type) and kinds.is_floating(values.type):
            if values.null_count == len(values):
                return converted(pa.nulls(len(values)), target_type)
            raise MappingError(
                f"{self._mapping.file}: {target!r} is an identifier, and a float column cannot hold one exactly"
            )
        return converted(values, target_type)


def _unfit(given: pa.DataType, target: pa.DataType) -> str:
    """Return what is wrong with values that do not fit a type."""
    if kinds.is_boolean(target):
        return "is neither 0 nor 1"
    limits = np.iinfo(target.to_pandas_dtype())
    if kinds.is_floating(given) and kinds.is_int64(target):
        return "is a float that does not hold an identifier exactly; write the column as int64"
    return f"is no whole number from {limits.min} to {limits.max}"


def _is_measured(column: Column) -> bool:
    """Tell whether no value stands for a missing one: counts of pixels are 0 where none were used."""
    return column.nullable or (column.default is None and not kinds.is_int32(column.arrow_type))


def _filled(values: pa.Array, column: Column) -> pa.Array:
    return pc.fill_null(values, pa.scalar(column.default or 0, column.arrow_type))


def _origin(rule: ColumnRule, table: pa.Table) -> str:
    names = [name for name in rule.inputs if name in table.schema.names]
    return ", ".join(f"{name} ({table.schema.field(name).type})" for name in names) or "a constant"


def _alike(names: Collection[str], unread: Collection[str]) -> dict[str, str]:
    """Return for each name the column that is nearly called so."""
    folded = {_folded(name.rpartition(".")[2]): name for name in unread}
    found = {name: difflib.get_close_matches(_folded(name), folded, 1, _LIKENESS) for name in names}
    return {name: folded[close[0]] for name, close in found.items() if close}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _listed(names: Collection[str], unread: Collection[str]) -> str:
    given = [*names, *unread]
    return ", ".join(given[:_N_LISTED]) + (", ..." if len(given) > _N_LISTED else "") or "none"
