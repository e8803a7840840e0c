"""Whether the tables of an APDB have a column for every value that is stored."""

from collections.abc import Collection, Mapping, Sequence

from stream_assoc.core.model.further_statistics import TABLE, further_statistics
from stream_assoc.core.model.schema import apdb_table, schema_version
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import INIT_REMEDY


def statistics_columns(statistics: Sequence[str] = ()) -> list[str]:
    """Return the columns of the table beside DiaObject but its key: ours, then these of plugins."""
    return list(dict.fromkeys([*(column.name for column in further_statistics()), *statistics]))


def check_columns(columns: Mapping[str, Collection[str]], statistics: Collection[str]) -> None:
    """Tell whether a row would lose a value when it is stored.

    Parameters
    ----------
    columns : mapping
        Columns of the tables that exist.
    statistics : collection of `str`
        Columns beside DiaObject that will be written besides
        `~stream_assoc.core.model.further_statistics`.

    Raises
    ------
    ApdbSchemaError
        If a table lacks a column of what this installation writes.
    """
    for table in ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource"):
        if lost := _missing(apdb_table(table).names, columns.get(table, ())):
            raise ApdbSchemaError(
                f"the APDB's table {table} lacks {lost}, which version {schema_version()} of the APDB schema has and "
                "this installation writes; migrate the database with lsst.dax.apdb's own scripts, or install the "
                "lsst-sdm-schemas that it was made with"
            )
    if lost := _missing(statistics_columns(list(statistics)), columns.get(TABLE, ())):
        raise ApdbSchemaError(
            f"the APDB's table {TABLE} lacks {lost}, statistics that would be computed and lost; stop every daemon "
            f"and {INIT_REMEDY} with these settings (statistics.plugins), which adds them"
        )


def _missing(names: Sequence[str], there: Collection[str]) -> str:
    return ", ".join(name for name in names if name not in there)
