"""Units that the columns of a table say they are in."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from stream_assoc.tools.transform.exceptions import MappingError

_UNIT: Final = b"unit"
"""Key of a column's unit in the metadata of its Arrow field."""

_ASTROPY: Final = b"table_meta_yaml"
"""Key under which astropy describes the columns of a Parquet file."""


def stated_units(schema: pa.Schema) -> dict[str, str]:
    """Return the unit of every column that says one, fields of structs under their dotted names.

    Raises
    ------
    MappingError
        If the table has a description by astropy that cannot be read.
    """
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
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    try:
        header = get_header_from_yaml(description.decode("utf-8").split("\n"))
        return {column["name"]: str(column["unit"]) for column in header.get("datatype", []) if column.get("unit")}
    except (YamlParseError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        raise MappingError(
            f"astropy's description of the table ({_ASTROPY.decode()} in its metadata) cannot be read, so the units "
            "of its columns are not known; write the table again, with it or without"
        ) from None
