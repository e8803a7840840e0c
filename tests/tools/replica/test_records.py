"""Which update records stop the replicator is decided as it would decide."""

import json

import pytest

from stream_assoc.tools.replica.exceptions import ReplicaError
from stream_assoc.tools.replica.records import UpdateRecord, by_key, record_of, stopping


def record(chunk: int, *, ends: bool = False) -> UpdateRecord:
    return UpdateRecord((chunk, 0, 0, "a"), "DiaObject", (7,), ends)


@pytest.mark.parametrize(
    ("values", "table", "key", "ends"),
    [
        ({"update_type": "close_diaobject_validity", "diaObjectId": 7}, "DiaObject", (7,), True),
        ({"update_type": "update_n_dia_sources", "diaObjectId": 7}, "DiaObject", (7,), False),
        (
            {"update_type": "reassign_diasource_to_diaobject", "diaSourceId": 3, "diaObjectId": 7},
            "DiaSource",
            (3,),
            False,
        ),
        ({"update_type": "reassign_diasource_to_ssobject", "diaSourceId": 3}, "DiaSource", (3,), True),
        ({"update_type": "withdraw_diasource", "diaSourceId": 3}, "DiaSource", (3,), False),
        (
            {"update_type": "withdraw_diaforcedsource", "diaObjectId": 7, "visit": 1, "detector": 2},
            "DiaForcedSource",
            (7, 1, 2),
            False,
        ),
    ],
)
def test_a_record_names_its_row(values: dict[str, object], table: str, key: tuple[int, ...], ends: bool) -> None:
    found = record_of((600, 1, 2, "a"), json.dumps(values))
    assert found == UpdateRecord((600, 1, 2, "a"), table, key, ends)
    assert found.chunk == 600
    assert by_key([found])[table] == {key: [found]}


def test_an_unknown_record_is_told() -> None:
    with pytest.raises(ReplicaError, match="'rename'"):
        record_of((600, 1, 2, "a"), '{"update_type": "rename"}')


def test_dax_apdb_knows_no_other_records() -> None:
    from lsst.dax.apdb.apdbUpdateRecord import ApdbUpdateRecord

    known = {"diaObjectId": 1, "diaSourceId": 1, "visit": 1, "detector": 1}
    for name, kind in ApdbUpdateRecord._update_types.items():
        found = record_of((1, 1, 1, "a"), json.dumps({**known, "update_type": name}))
        assert found.table == kind.apdb_table.name


def test_records_of_a_row_that_is_there_are_applied() -> None:
    assert stopping([record(2), record(1)], is_there=True, arrivals=[]) == ()


def test_records_before_the_row_arrives_stop() -> None:
    early, with_it, late = record(1), record(2), record(3)
    assert stopping([late, with_it, early], is_there=False, arrivals=[2]) == (early,)


def test_records_after_one_that_ends_stop() -> None:
    assert stopping([record(1, ends=True), record(2)], is_there=True, arrivals=[]) == (record(2),)


def test_records_of_one_chunk_are_looked_up_together() -> None:
    assert stopping([record(1, ends=True), record(1)], is_there=True, arrivals=[]) == ()


def test_a_later_arrival_opens_again() -> None:
    records = [record(1, ends=True), record(2), record(3)]
    assert stopping(records, is_there=True, arrivals=[3]) == (record(2),)
