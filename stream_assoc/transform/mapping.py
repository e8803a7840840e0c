"""Column mappings: how a survey's table becomes DIASources."""

import importlib.resources
import tomllib
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream_assoc.model.batch import measured_columns
from stream_assoc.model.schema import Column, apdb_table
from stream_assoc.transform.columns import measured_schema
from stream_assoc.transform.exceptions import MappingError
from stream_assoc.transform.rules import ColumnRule, RowFilter, Rule

_FOLDER: Final = importlib.resources.files("stream_assoc.transform") / "mappings"


class VisitRules(BaseModel):
    """Which values make the batches of a table.

    Attributes
    ----------
    visit, detector, band, midpointMjdTai : `ColumnRule`
        As in `~stream_assoc.model.batch.Batch`.
    exposureTime : `ColumnRule`, optional
        Seconds; unknown when absent.
    arrival : `str`, optional
        The column that tells when a row was processed. Rows of one visit and
        detector that differ in it come from different processings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    visit: Rule
    detector: Rule
    band: Rule
    midpointMjdTai: Rule
    exposureTime: Rule | None = None
    arrival: str | None = None

    def rules(self) -> dict[str, ColumnRule]:
        """Return the rules by the name of what they make."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name != "arrival"}
        return {name: rule for name, rule in named.items() if rule is not None}


class FootprintRule(BaseModel):
    """How the outline of a batch is found where the table holds none.

    Attributes
    ----------
    margin_arcsec : `float`
        Distance kept from every source. It must exceed the association radius,
        or an object beside the outermost source would not be loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin_arcsec: float = Field(gt=0)


class Mapping(BaseModel):
    """A column mapping file.

    Attributes
    ----------
    name : `str`
        Name of the survey.
    description : `str`
        What table it fits.
    prefix : `str`
        Put before the name of a column that ``same_names`` looks for. A dot
        reaches into a struct column.
    same_names : `bool`
        Whether DIASource columns without a rule are taken from the column of
        the same name, where the table has one.
    unique : `str`, optional
        Keep only the first row of each value of this column.
    where : `tuple` [`RowFilter`, ...]
        Rows must pass all of these.
    batch : `VisitRules`
    footprint : `FootprintRule`
    columns : `dict` [`str`, `ColumnRule`]
        Rules of DIASource columns.
    file : `str`
        Where it was read from, for messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    prefix: str = ""
    same_names: bool = False
    unique: str | None = None
    where: tuple[RowFilter, ...] = ()
    batch: VisitRules
    footprint: FootprintRule
    columns: dict[str, Rule] = Field(default_factory=dict)
    file: str = "a mapping"

    def select(self, table: pa.Table) -> pa.Table:
        """Return the rows of the survey, in the order of the table.

        Struct columns come out flat, their fields named ``struct.field``.

        Raises
        ------
        MappingError
            If the table lacks a column that a filter names.
        """
        while any(pa.types.is_struct(field.type) for field in table.schema):
            table = table.flatten()
        for row_filter in self.where:
            self._require(table, row_filter.column, "a 'where' filter")
            table = table.filter(row_filter.mask(table))
        if self.unique is not None:
            self._require(table, self.unique, "'unique'")
            rows = pa.table({"key": table.column(self.unique), "row": pa.array(range(table.num_rows), pa.int64())})
            first = rows.group_by("key").aggregate([("row", "min")]).column("row_min")
            table = table.take(first.take(pc.sort_indices(first)))
        return table

    def visits(self, table: pa.Table) -> pa.Table:
        """Return what tells the batches apart: one row for each row of a selected table.

        Returns
        -------
        visits : `pyarrow.Table`
            Columns ``visit`` (int64), ``detector`` (int64), ``band`` (string),
            ``midpointMjdTai`` (float64), ``exposureTime`` (float64, may be
            null) and ``arrival`` (float64).

        Raises
        ------
        MappingError
            If a column is missing, null or of a type that cannot be taken.
        """
        types = {"visit": pa.int64(), "detector": pa.int64(), "band": pa.string()}
        columns = {
            name: self._evaluated(rule, table, f"batch.{name}", types.get(name, pa.float64()))
            for name, rule in self.batch.rules().items()
        }
        columns.setdefault("exposureTime", pa.nulls(table.num_rows, pa.float64()))
        columns["arrival"] = columns["midpointMjdTai"]
        if self.batch.arrival is not None:
            columns["arrival"] = self._evaluated(
                ColumnRule(column=self.batch.arrival), table, "batch.arrival", pa.float64()
            )
        for name, values in columns.items():
            if name != "exposureTime" and values.null_count:
                raise MappingError(
                    f"{self.file}: batch.{name} is null in {values.null_count} rows; give it a default or filter them"
                )
        return pa.table(columns)

    def sources(self, table: pa.Table) -> pa.RecordBatch:
        """Return the rows of a selected table as DIASources.

        Returns
        -------
        sources : `pyarrow.RecordBatch`
            The columns of `measured_schema`. A column that may be null and has
            neither rule nor namesake is null; NaN becomes null where the schema
            admits it.

        Raises
        ------
        MappingError
            If a required column has no rule, holds nulls or cannot be converted,
            or if an identifier would have to pass through a float.
        """
        definition = apdb_table("DiaSource")
        columns = [self._measured(definition.column(name), table) for name in measured_schema().names]
        return pa.RecordBatch.from_arrays(columns, schema=measured_schema())

    def _measured(self, column: Column, table: pa.Table) -> pa.Array:
        rule = self._rule(column, table)
        if rule is None:
            if column.nullable:
                return pa.nulls(table.num_rows, column.arrow_type)
            if column.default is None:
                raise MappingError(
                    f"{self.file}: the required DiaSource column {column.name!r} has no rule in [columns]"
                    + (f", and the table has no column {self.prefix + column.name!r}" if self.same_names else "")
                )
            rule = ColumnRule(constant=column.default)
        values = self._evaluated(rule, table, column.name, column.arrow_type)
        if column.nullable:
            return _without_nan(values)
        if values.null_count and column.default is not None:
            values = pc.fill_null(values, pa.scalar(column.default, column.arrow_type))
        if values.null_count:
            raise MappingError(
                f"{self.file}: the required DiaSource column {column.name!r} is null in {values.null_count} rows; "
                "give its rule a default"
            )
        return values

    def _rule(self, column: Column, table: pa.Table) -> ColumnRule | None:
        if column.name in self.columns:
            return self.columns[column.name]
        namesake = self.prefix + column.name
        return ColumnRule(column=namesake) if self.same_names and namesake in table.schema.names else None

    def _evaluated(self, rule: ColumnRule, table: pa.Table, target: str, target_type: pa.DataType) -> pa.Array:
        for name in rule.inputs:
            self._require(table, name, f"{target!r}")
        try:
            values = rule.evaluate(table)
            if pa.types.is_int64(target_type) and pa.types.is_floating(values.type):
                raise MappingError(
                    f"{self.file}: {target!r} is an identifier, and a float column cannot hold one exactly"
                )
            return values.cast(target_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise MappingError(f"{self.file}: {target!r} cannot be made {target_type}: {error}") from error

    def _require(self, table: pa.Table, column: str, purpose: str) -> None:
        if column not in table.schema.names:
            raise MappingError(
                f"{self.file}: the table has no column {column!r}, which the mapping needs for {purpose}; "
                f"it has {', '.join(table.schema.names[:20])}{', ...' if table.num_columns > 20 else ''}"
            )


def _without_nan(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(values), None, values) if pa.types.is_floating(values.type) else values


def packaged_mappings() -> tuple[str, ...]:
    """Return the names of the mappings that come with this package, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir() if entry.name.endswith(".toml"))
    )


def load_mapping(name_or_path: str | Path) -> Mapping:
    """Read a column mapping.

    Parameters
    ----------
    name_or_path : `str` or `pathlib.Path`
        Name of a packaged mapping, such as ``ztf``, or path of a TOML file.

    Raises
    ------
    MappingError
        If there is no such mapping, or the file is not one. The message names
        the file and each key that is wrong.
    """
    packaged = str(name_or_path) in packaged_mappings()
    source = _FOLDER / f"{name_or_path}.toml" if packaged else Path(name_or_path)
    try:
        return _parsed(source.read_text(encoding="utf-8"), str(source))
    except OSError as error:
        raise MappingError(
            f"no mapping {str(name_or_path)!r}: it is none of the packaged ones ({', '.join(packaged_mappings())}), "
            f"and no file can be read there ({error})"
        ) from error


def _parsed(text: str, file: str) -> Mapping:
    try:
        mapping = Mapping.model_validate({**tomllib.loads(text), "file": file})
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{file} is not TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise MappingError(f"{file} is not a column mapping: {problems}") from error
    unknown = [name for name in mapping.columns if name not in measured_columns()]
    if unknown:
        raise MappingError(f"{file}: [columns] names {', '.join(unknown)}, which no producer of DiaSources measures")
    return mapping
