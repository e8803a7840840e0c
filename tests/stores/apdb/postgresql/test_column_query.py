import numpy as np
import psycopg
import pytest

from stream_assoc.stores.apdb.postgresql.column_query import column_query, columns_of

TYPES = ("int8", "int4", "float4", "float8", "bool")


@pytest.mark.integration
def test_columns_arrive_in_the_order_of_the_rows(postgresql_url: str) -> None:
    statement = (
        "SELECT 1152921504606846977 - i, -i, CASE WHEN i % 3 = 0 THEN NULL ELSE i / 7.0 END::float4, "
        "nullif(i, 2)::float8, i % 2 = 0 FROM generate_series(1, 50) AS i ORDER BY i DESC"
    )
    with psycopg.connect(postgresql_url) as connection:
        row = connection.execute(column_query(statement, TYPES).encode(), binary=True).fetchone()
    assert row is not None
    big, small, single, double, even = columns_of(row, TYPES)
    i = np.arange(50, 0, -1)
    assert big.tolist() == (2**60 + 1 - i).tolist()
    assert small.tolist() == (-i).tolist()
    np.testing.assert_array_equal(single, np.where(i % 3 == 0, np.nan, i / 7).astype(np.float32))
    np.testing.assert_array_equal(double, np.where(i == 2, np.nan, i))
    assert even.tolist() == (i % 2 == 0).tolist()
    assert [column.dtype for column in (big, small, single, double, even)] == ["i8", "i4", "f4", "f8", "?"]


def test_no_rows_are_empty_columns() -> None:
    assert [len(column) for column in columns_of([None] * 5, TYPES)] == [0] * 5
