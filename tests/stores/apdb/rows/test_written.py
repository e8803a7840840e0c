import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.rows.read import versions_of
from stream_assoc.stores.apdb.rows.written import int_column, repeated, store_rows
from stream_assoc.testing.rows import BIG, changes, dia_object


@settings(max_examples=50, deadline=None)
@given(order=st.lists(st.lists(st.integers(0, 4), unique=True, max_size=5), min_size=1, max_size=5))
def test_each_version_ends_where_the_next_begins(order) -> None:
    batches = [
        changes(BatchId(k, 0), objects=[dia_object(BIG + i, 60000.0 + k) for i in ids], time=60000.0 + k)
        for k, ids in enumerate(order)
    ]
    rows = store_rows(batches)
    expected_start = {i: [60000.0 + k for k, ids in enumerate(order) if i in ids] for i in range(5)}
    touched = [i for i in range(5) if expected_start[i]]
    assert rows.superseded.tolist() == [BIG + i for i in touched]
    assert rows.ends.tolist() == [expected_start[i][0] for i in touched]
    if not touched:
        assert rows.tables == {}
        return
    objects = rows.tables["DiaObject"].select(["diaObjectId", "validityStartMjdTai", "validityEndMjdTai"])
    versions = {tuple(row.values()) for row in objects.to_pylist()}
    assert versions == {
        (BIG + i, start, end)
        for i in touched
        for start, end in zip(expected_start[i], [*expected_start[i][1:], None], strict=True)
    }
    last = rows.tables["DiaObjectLast"]
    assert sorted(zip(int_column(last, "diaObjectId"), last["validityStartMjdTai"].to_pylist(), strict=True)) == [
        (BIG + i, expected_start[i][-1]) for i in touched
    ]


def test_repeated_and_versions() -> None:
    assert repeated(np.array([BIG, 3, BIG, 4])).tolist() == [BIG]
    assert versions_of(np.array([4, 2]), {2: 7}).tolist() == [0, 7]
