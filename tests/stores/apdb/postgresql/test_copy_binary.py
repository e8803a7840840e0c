import math

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.postgresql.copy_binary import ARROW_TYPES, CopyColumn, encode
from stream_assoc.stores.apdb.postgresql.copy_reader import decode

TYPES = ("bool", "int2", "int4", "int8", "float4", "float8", "text")
VALUES = {
    "bool": st.booleans(),
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float4": st.floats(width=32),
    "float8": st.floats(),
    "text": st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12),
}
COLUMNS = [CopyColumn(name, name, required=False) for name in TYPES]
COPY_OUT = "COPY (SELECT {} FROM sample ORDER BY row_number) TO STDOUT (FORMAT BINARY)".format(
    ", ".join(f'"{name}"' for name in TYPES)
)
ROWS = st.lists(st.tuples(*(st.none() | VALUES[name] for name in TYPES)), max_size=20)


def arrow(rows, names=TYPES):
    return pa.table({name: pa.array([row[k] for row in rows], ARROW_TYPES[name]) for k, name in enumerate(names)})


def stored(row):
    """What a database keeps of a row: NaN is NULL."""
    return tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row)


@pytest.mark.integration
def test_postgresql_reads_what_is_encoded(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        definition = ", ".join(f'"{name}" {name}' for name in TYPES)
        connection.execute(f"CREATE TEMP TABLE sample (row_number int4, {definition})".encode())

        @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(rows=ROWS, start=st.integers(0, 2))
        def check(rows, start) -> None:
            table = arrow(rows).add_column(0, "row_number", pa.array(range(len(rows)), pa.int32())).slice(start)
            columns = [CopyColumn("row_number", "int4", required=True), *COLUMNS]
            connection.execute("TRUNCATE sample")
            with connection.cursor().copy("COPY sample FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(encode(table, columns).tobytes())
            back = connection.execute("SELECT * FROM sample ORDER BY row_number", binary=True).fetchall()
            assert [row[1:] for row in back] == [stored(row) for row in rows[start:]]
            with connection.cursor().copy(COPY_OUT) as copy:
                decoded = decode(b"".join(copy), COLUMNS)
            assert list(zip(*decoded.to_pydict().values(), strict=True)) == [row[1:] for row in back]

        check()


def test_narrower_arrow_types_are_widened() -> None:
    column = [CopyColumn("a", "int8", required=False)]
    narrow, wide = (pa.table({"a": pa.array([1, None, -2], kind)}) for kind in (pa.int16(), pa.int64()))
    assert encode(narrow, column).tobytes() == encode(wide, column).tobytes()


def test_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        encode(pa.table({"a": pa.array([2**40])}), [CopyColumn("a", "int4", required=False)])


def test_chunked_columns_are_joined() -> None:
    table = pa.concat_tables([arrow([(True, 1, 2, 3, 4.0, 5.0, "é")]), arrow([(None,) * 7])])
    assert encode(table, COLUMNS).tobytes() == encode(table.combine_chunks(), COLUMNS).tobytes()


def test_unknown_type_is_a_schema_error() -> None:
    with pytest.raises(ApdbSchemaError, match="numeric"):
        encode(pa.table({"a": [1]}), [CopyColumn("a", "numeric", required=False)])


def test_what_is_no_binary_copy_of_these_columns_is_refused() -> None:
    whole = encode(arrow([(True, 1, 2, 3, 0.5, 0.25, "r")]), COLUMNS).tobytes()
    assert decode(whole, COLUMNS).to_pylist() == [dict(zip(TYPES, (True, 1, 2, 3, 0.5, 0.25, "r"), strict=True))]
    for damaged, columns in ((whole[:-4], COLUMNS), (whole, COLUMNS[:-1]), (whole[1:], COLUMNS)):
        with pytest.raises(ValueError, match="binary COPY"):
            decode(damaged, columns)
