"""Which tables of a PostgreSQL database are the APDB's, asked of the server.

A table's name says what it is only together with a search path, which differs
between users, and ``apdb.namespace`` may be unset for one daemon and spelled
out for another. So tables are looked for once, in one schema, and from then on
called by their full names; locks are named after the schema's own number.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import sql

from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import INIT_REMEDY
from stream_assoc.stores.apdb.postgresql.copy_binary import CopyColumn
from stream_assoc.stores.apdb.sql.database import ALL_TABLES

_ANCHOR: Final = "DiaObject"
"""The schema that holds this table is the APDB's; ``metadata`` is a name that others use too."""

_OWN_KINDS: Final = ("r", "p")
"""Tables and partitioned tables. The rows of a view or a foreign table are another schema's, under other locks."""

_SCHEMA: Final = """
    SELECT d.oid::int8, s.oid::int8, s.nspname FROM pg_database d, pg_namespace s
    WHERE d.datname = current_database() AND s.oid = coalesce(
        (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s)),
        (SELECT oid FROM pg_namespace WHERE nspname = coalesce(%s, current_schema())))
"""
_RELATIONS: Final = "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = %s AND relname = ANY(%s)"
_COLUMNS: Final = """
    SELECT c.relname, a.attname, t.typname, a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = %s AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of a PostgreSQL server: the numbers of its database and of itself, and its name."""

    database: int
    oid: int
    name: str

    @property
    def lock_class(self) -> int:
        """The first key of this APDB's advisory locks, an int4.

        A server keeps the locks of its databases apart. Hashed, because other
        programs' keys often count from 0.
        """
        return np.array(zlib.crc32(f"stream_assoc {self.oid}".encode())).astype(np.int32).item()

    def quoted(self, connection: psycopg.Connection[Any]) -> str:
        """Return the quoted name."""
        return sql.Identifier(self.name).as_string(connection)

    def full_name(self, connection: psycopg.Connection[Any], table: str) -> str:
        """Return the quoted name of a table, the same under every search path."""
        return sql.Identifier(self.name, table).as_string(connection)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The APDB's tables in one schema of a database.

    Attributes
    ----------
    schema : `Schema`
    names : mapping
        Full, quoted name of each of `ALL_TABLES`, whether it exists or not.
    columns : mapping
        Columns of each that exists.
    """

    schema: Schema
    names: Mapping[str, str]
    columns: Mapping[str, Sequence[CopyColumn]]


def find_schema(connection: psycopg.Connection[Any], namespace: str | None) -> Schema | None:
    """Return the schema that holds the tables, or would if they were made now; `None` if there is none.

    Parameters
    ----------
    connection : `psycopg.Connection`
    namespace : `str`, optional
        Its name; else the first of the search path that has a DiaObject, or
        else the first.
    """
    anchor = sql.Identifier(*([] if namespace is None else [namespace]), _ANCHOR).as_string(connection)
    row = connection.execute(_SCHEMA, (anchor, namespace)).fetchone()
    return None if row is None else Schema(*row)


def read_catalogue(connection: psycopg.Connection[Any], namespace: str | None) -> Catalogue:
    """Return where the tables are, and what they look like. See `find_schema`.

    Raises
    ------
    ApdbSchemaError
        If there is no such schema, or what has a table's name is no table.
    """
    schema = find_schema(connection, namespace)
    if schema is None:
        raise ApdbSchemaError(
            f"the database that apdb.url names has no schema {namespace or 'in the search path'!r} "
            f"(apdb.namespace); {INIT_REMEDY}"
        )
    _check_kinds(connection.execute(_RELATIONS, (schema.oid, list(ALL_TABLES))).fetchall())
    columns: dict[str, list[CopyColumn]] = {}
    for table, *column in connection.execute(_COLUMNS, (schema.oid, list(ALL_TABLES))):
        columns.setdefault(table, []).append(CopyColumn(*column))
    return Catalogue(schema, {table: schema.full_name(connection, table) for table in ALL_TABLES}, columns)


def _check_kinds(relations: Sequence[tuple[str, str]]) -> None:
    foreign = sorted(name for name, kind in relations if kind not in _OWN_KINDS)
    if foreign:
        raise ApdbSchemaError(
            f"{', '.join(foreign)} in the schema of the APDB is a view or a foreign table, whose rows belong to "
            "another schema or server; let apdb.url and apdb.namespace name that one"
        )
