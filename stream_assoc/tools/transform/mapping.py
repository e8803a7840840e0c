"""Column mappings: how a survey's table becomes DIASources."""

import importlib.resources
import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream_assoc.core.model.batch import measured_columns
from stream_assoc.exceptions import reason_of
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.rules import ColumnRule, RowFilter, Rule

_FOLDER: Final = importlib.resources.files("stream_assoc.tools.transform") / "mappings"


class VisitRules(BaseModel):
    """Which values make the batches of a table.

    Attributes
    ----------
    visit, detector, band, midpointMjdTai : `ColumnRule`
        As in `~stream_assoc.core.model.batch.Batch`.
    exposureTime : `ColumnRule`, optional
        Seconds; unknown when absent.
    arrival : `ColumnRule`, optional
        When a row was processed, MJD TAI. Rows of one visit and detector that
        differ in it come from different processings. A table may lack it where
        batches are ordered by midpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    visit: Rule
    detector: Rule
    band: Rule
    midpointMjdTai: Rule
    exposureTime: Rule | None = None
    arrival: Rule | None = None

    def rules(self) -> dict[str, ColumnRule]:
        """Return the rules by the name of what they make."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
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
    absent : `tuple` [`str`, ...]
        DIASource columns that the table does not have, or that are not to be
        taken from it: they are null. A column that the statistics need is
        otherwise an error where it is missing.
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
    absent: tuple[str, ...] = ()
    unique: str | None = None
    where: tuple[RowFilter, ...] = ()
    batch: VisitRules
    footprint: FootprintRule
    columns: dict[str, Rule] = Field(default_factory=dict)
    file: str = "a mapping"

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        for section, names in (("columns", tuple(self.columns)), ("absent", self.absent)):
            unknown = [name for name in names if name not in measured_columns()]
            if unknown:
                raise ValueError(f"{section} names {', '.join(unknown)}, which no producer of DiaSources measures")
        both = [name for name in self.absent if name in self.columns]
        if both:
            raise ValueError(f"absent names {', '.join(both)}, which [columns] has a rule for")
        return self

    def rule(self, column: str) -> ColumnRule | None:
        """Return how a DIASource column is made; `None` if the mapping leaves it null."""
        if column in self.columns:
            return self.columns[column]
        is_taken = self.same_names and column not in self.absent
        return ColumnRule(column=self.prefix + column) if is_taken else None

    def inputs(self) -> frozenset[str]:
        """Return every column of a table that may be read."""
        rules = [*self.batch.rules().values(), *filter(None, map(self.rule, measured_columns()))]
        names = {name for rule in rules for name in rule.inputs} | {one.column for one in self.where}
        return frozenset(names if self.unique is None else names | {self.unique})


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
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise MappingError(
            f"no mapping {str(name_or_path)!r}: it is none of the packaged ones ({', '.join(packaged_mappings())}), "
            f"and no file can be read there ({reason_of(error)})"
        ) from error
    except UnicodeDecodeError as error:
        raise MappingError(f"{source} is not TOML: {reason_of(error)}") from error
    return _parsed(text, str(name_or_path) if packaged else str(source))


def _parsed(text: str, file: str) -> Mapping:
    try:
        return Mapping.model_validate({**tomllib.loads(text), "file": file})
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{file} is not TOML: {reason_of(error)}") from error
    except ValidationError as error:
        problems = "; ".join(_problem(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors())
        raise MappingError(f"{file} is not a column mapping: {problems}") from error


def _problem(place: str, message: str) -> str:
    return f"{place}: {message}" if place else message.removeprefix("Value error, ")
