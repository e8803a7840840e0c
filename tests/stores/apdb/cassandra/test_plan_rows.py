"""Rows of plans, each primary key once."""

import pyarrow as pa

from stream_assoc.stores.apdb.cassandra.plan_rows import place_changes


def where(kind: str, *rows: tuple[int, int, int, float], nullable: bool) -> pa.Table:
    columns = [("diaObjectId", pa.int64()), ("apdb_part", pa.int64()), ("apdb_time_part", pa.int64())]
    schema = pa.schema([pa.field(*column, nullable) for column in (*columns, ("timeProcessedMjdTai", pa.float64()))])
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema)
    return table.append_column("kind", pa.repeat(pa.scalar(kind), len(rows)))


def test_a_place_is_noted_once_with_its_last_time() -> None:
    change = place_changes(
        [
            where("DiaSource", (1, 10, 100, 5.0), (2, 10, 100, 5.0), nullable=True),
            where("DiaSource", (1, 10, 100, 6.0), (1, 11, 100, 6.0), nullable=False),
            where("DiaForcedSource", (1, 10, 100, 4.0), nullable=False),
        ]
    )
    rows = change.rows.select(
        ["kind", "diaObjectId", "apdb_part", "apdb_time_part", "timeProcessedMjdTai"]
    ).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [
        ("DiaForcedSource", 1, 10, 100, 4.0),
        ("DiaSource", 1, 10, 100, 6.0),
        ("DiaSource", 1, 11, 100, 6.0),
        ("DiaSource", 2, 10, 100, 5.0),
    ]
