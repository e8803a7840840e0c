"""Table definitions, read from ``lsst-sdm-schemas`` and never typed by hand.

The package ships ``apdb.yaml``, a Felis description of the Alert Production
Database (DMTN-293; schema browser sdm-schemas.lsst.io). It is read here as
plain YAML, not through ``lsst.felis``, because that import costs seconds and
the daemon needs only names, types, units and nullability.
"""

import functools
import importlib.resources
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import yaml

from stream_assoc.core.exceptions import SchemaError

ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "long": pa.int64(),
    "int": pa.int32(),
    "short": pa.int16(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "char": pa.string(),
    "string": pa.string(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us"),
}
"""Felis datatypes and the Arrow type each is carried in."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an APDB table.

    Attributes
    ----------
    name : `str`
        Rubin's name.
    datatype : `str`
        Felis datatype: ``long``, ``double``, ``float``, ``boolean``, ...
    nullable : `bool`
        Whether the database admits NULL.
    unit : `str`
        FITS unit (``deg``, ``nJy``, ``d``, ...); empty when dimensionless.
    description : `str`
        Rubin's own description.
    default : `int` or `None`
        The database's default value, where the schema names one.
    """

    name: str
    datatype: str
    nullable: bool
    unit: str
    description: str
    default: int | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type this column is carried in."""
        return ARROW_TYPES[self.datatype]

    def arrow_field(self) -> pa.Field:
        """Return the Arrow field, its unit and description as metadata."""
        return pa.field(
            self.name,
            self.arrow_type,
            nullable=self.nullable,
            metadata={"unit": self.unit, "description": self.description},
        )


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the APDB, its columns in the order of the schema.

    Attributes
    ----------
    name : `str`
        ``DiaObject``, ``DiaSource``, ``DiaForcedSource``, ``DiaObjectLast``.
    columns : `tuple` [`Column`, ...]
        The columns, without the ``pixelId`` that databases add.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column called ``name``, or raise `KeyError`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")

    def arrow_schema(self) -> pa.Schema:
        """Return the table as an Arrow schema."""
        return pa.schema([column.arrow_field() for column in self.columns])


PIXEL_ID: Final = Column(
    name="pixelId",
    datatype="long",
    nullable=False,
    unit="",
    description="HTM level-20 index of the position, the spatial index of the database.",
)
"""The column dax_apdb adds to DiaObject, DiaObjectLast and DiaSource."""


@functools.cache
def _document() -> dict[str, Any]:
    text = importlib.resources.files("lsst.sdm.schemas").joinpath("apdb.yaml").read_bytes()
    document: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return document


def schema_version() -> str:
    """Return the version of the APDB schema, for example ``10.0.0``."""
    return str(_document()["version"])


@functools.cache
def apdb_table(name: str) -> Table:
    """Return the definition of one APDB table.

    Parameters
    ----------
    name : `str`
        The table, spelled as in the schema.

    Returns
    -------
    table : `Table`
        Its columns in schema order.

    Raises
    ------
    SchemaError
        If the installed schema has no such table, or a type unknown here.
    """
    for table in _document()["tables"]:
        if table["name"] == name:
            return Table(name, tuple(_column(name, column) for column in table["columns"]))
    raise SchemaError(
        f"lsst-sdm-schemas {schema_version()} has no table {name!r}; install the version pinned in pyproject.toml"
    )


def _column(table: str, column: dict[str, Any]) -> Column:
    datatype = column["datatype"]
    if datatype not in ARROW_TYPES:
        raise SchemaError(f"{table}.{column['name']} has the type {datatype!r}, which this version does not know")
    return Column(
        name=column["name"],
        datatype=datatype,
        nullable=column.get("nullable", True),
        unit=column.get("fits:tunit") or column.get("ivoa:unit") or "",
        description=column.get("description", ""),
        default=column.get("value"),
    )
