"""Units that the columns of a table say they are in."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

_UNIT: Final = b"unit"
"""Key of a column's unit in the metadata of its Arrow field."""

_ASTROPY: Final = b"table_meta_yaml"
"""Key under which astropy describes the columns of a Parquet file."""


def stated_units(schema: pa.Schema) -> dict[str, str]:
    """Return the unit of every column that says one, fields of structs under their dotted names."""
    units = dict(_of_fields(schema, ""))
    description = (schema.metadata or {}).get(_ASTROPY)
    return units if description is None else _of_astropy(description) | units


def _of_fields(fields: pa.Schema | pa.StructType, prefix: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        unit = (field.metadata or {}).get(_UNIT, b"").decode("utf-8", "replace")
        if unit:
            yield prefix + field.name, unit
        if pa.types.is_struct(field.type):
            yield from _of_fields(field.type, f"{prefix}{field.name}.")


def _of_astropy(description: bytes) -> dict[str, str]:
    # astropy takes half a second, and most tables are not its own.
    from astropy.table.meta import get_header_from_yaml

    columns = get_header_from_yaml(description.decode("utf-8").split("\n")).get("datatype", [])
    return {column["name"]: str(column["unit"]) for column in columns if column.get("unit")}
