import json

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.rows.notes import UPDATE_COLUMNS, Notes, notes_of
from stream_assoc.stores.apdb.rows.withdrawal import FORCED_SOURCES, SOURCES, TakenBack, TakenBackRows
from stream_assoc.testing.rows import BIG, FIRST, changes, dia_object, forced, source

NOTHING = TakenBack([], [], [])
PLACE = (10.0, -5.0, 60000.5)


def payloads(notes: Notes) -> list[dict[str, object]]:
    return [json.loads(record[UPDATE_COLUMNS.index("update_payload")]) for record in notes.records]


def again(taken: TakenBackRows, revision: int = 1) -> Notes:
    """Return the notes of three sources, the last without an owner, that are processed anew."""
    owners = [(BIG, 1), (BIG + 2, 2), (BIG + 4, None)]
    change = changes(
        FIRST,
        [source(key, diaObjectId=owner) for key, owner in owners],
        forced_sources=[forced(70, 1, *FIRST)],
        time=60002.0,
        revision=revision,
    )
    return notes_of([change], [taken], 1200, frozenset())


def test_rows_of_all_batches_are_noted_in_one_chunk() -> None:
    batches = [changes(BatchId(k, 0), [source(BIG + k)], [dia_object(BIG, 60000.0 + k)]) for k in range(2)]
    notes = notes_of(batches, [{}, {}], 600, frozenset())
    assert {name: table.to_pydict() for name, table in notes.keys.items()} == {
        "DiaSourceChunks": {"diaSourceId": [BIG, BIG + 1], "apdb_replica_chunk": [600, 600]},
        "DiaObjectChunks": {
            "diaObjectId": [BIG, BIG],
            "validityStartMjdTai": [60000.0, 60001.0],
            "apdb_replica_chunk": [600, 600],
        },
    }
    assert (notes.records, notes.moved) == ([], {})


def test_only_new_keys_are_noted_and_kept_notes_stay() -> None:
    replaced = [(BIG, 1, BIG, *PLACE), (BIG + 2, 2, BIG + 2, *PLACE)]
    notes = again({SOURCES: TakenBack([(BIG, 600)], replaced, []), FORCED_SOURCES: NOTHING})
    assert notes.keys["DiaSourceChunks"].to_pylist() == [
        {"diaSourceId": BIG + 4, "apdb_replica_chunk": 1200},
        {"diaSourceId": BIG, "apdb_replica_chunk": 600},
    ]
    assert notes.keys["DiaForcedSourceChunks"].num_rows == 1


def test_a_change_of_owner_is_told_where_both_are_known() -> None:
    replaced = [(BIG, 7, BIG, *PLACE), (BIG + 2, None, BIG + 2, *PLACE), (BIG + 4, 9, BIG + 4, *PLACE)]
    notes = again({SOURCES: TakenBack([], replaced, []), FORCED_SOURCES: NOTHING})
    assert payloads(notes) == [
        {
            "diaSourceId": BIG,
            "ra": 10.0,
            "dec": -5.0,
            "midpointMjdTai": 60000.5,
            "diaObjectId": 1,
            "update_type": "reassign_diasource_to_diaobject",
        }
    ]
    assert {batch: ids.tolist() for batch, ids in notes.moved.items()} == {FIRST: [BIG, BIG + 2, BIG + 4]}


def test_withdrawals_are_told_of_rows_with_an_owner() -> None:
    left = [(BIG + 6, 3, BIG + 6, *PLACE), (BIG + 8, None, BIG + 8, *PLACE)]
    forced_left = [(5, 5, 5, *FIRST, *PLACE)]
    notes = again({SOURCES: TakenBack([], [], left), FORCED_SOURCES: TakenBack([], [], forced_left)})
    assert [(one["update_type"], one.get("diaSourceId"), one.get("diaObjectId")) for one in payloads(notes)] == [
        ("withdraw_diasource", BIG + 6, None),
        ("withdraw_diaforcedsource", None, 5),
    ]
    assert [record[2] for record in notes.records] == [0, 1]


def test_closing_is_told_of_objects_that_every_replica_has() -> None:
    change = changes(FIRST, time=60002.0, revision=1, closed=[3, 4])
    notes = notes_of([change], [{SOURCES: NOTHING, FORCED_SOURCES: NOTHING}], 1200, frozenset({4}))
    assert [(one["diaObjectId"], one["validityEndMjdTai"]) for one in payloads(notes)] == [(3, 60002.0)]


def test_nothing_is_told_of_sources_that_were_replaced_before() -> None:
    replaced, left = [(BIG, 7, BIG, *PLACE)], [(BIG + 6, 3, BIG + 6, *PLACE)]
    forced_left = [(5, 5, 5, *FIRST, *PLACE)]
    taken = {SOURCES: TakenBack([], replaced, left), FORCED_SOURCES: TakenBack([], [], forced_left)}
    assert len(payloads(again(taken))) == 3
    assert [one["update_type"] for one in payloads(again(taken, revision=2))] == ["withdraw_diaforcedsource"]
