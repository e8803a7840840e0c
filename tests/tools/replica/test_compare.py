"""Rows of both databases are merged by key and judged."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.tools.replica.compare import Comparison, Judgement, Pair, Verdict, judged, pairs
from stream_assoc.tools.replica.records import Key, UpdateRecord

SOURCES = Comparison("DiaSource", ("diaSourceId", "diaObjectId", "psfFlux"), frozenset({"psfFlux"}))
OBJECTS = Comparison("DiaObject", ("diaObjectId", "validityStartMjdTai", "validityEndMjdTai", "nDiaSources"))
NAN = float("nan")


def source(identifier: int = 1, owner: int | None = 7, flux: float | None = 1.5) -> dict[str, Any]:
    return {"diaSourceId": identifier, "diaObjectId": owner, "psfFlux": flux}


def version(start: float, end: float | None = None, n: int = 1) -> dict[str, Any]:
    return {"diaObjectId": 7, "validityStartMjdTai": start, "validityEndMjdTai": end, "nDiaSources": n}


def object_pair(apdb: Mapping[str, Any] | None, ppdb: Mapping[str, Any] | None, chunk: int | None = None) -> Pair:
    row = apdb or ppdb or {}
    return Pair((row["diaObjectId"], row["validityStartMjdTai"]), apdb, ppdb, chunk)


def judge(
    comparison: Comparison, *rows: Pair, records: Mapping[Key, Sequence[UpdateRecord]] | None = None
) -> list[Judgement]:
    return list(judged(rows, comparison, records or {}))


def verdicts(judgements: Sequence[Judgement]) -> list[Verdict]:
    return [verdict for judgement in judgements for _, verdict, _ in judgement.rows]


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_every_key_is_met_once_in_order(left: set[int], right: set[int]) -> None:
    merged = list(
        pairs(
            (((key,), source(key), key) for key in sorted(left)),
            (((key,), source(key)) for key in sorted(right)),
        )
    )
    assert [pair.key for pair in merged] == [(key,) for key in sorted(left | right)]
    for pair in merged:
        (key,) = pair.key
        assert (pair.apdb is not None, pair.ppdb is not None) == (key in left, key in right)
        assert pair.chunk == (key if key in left else None)


@pytest.mark.parametrize(
    ("apdb", "ppdb", "mixed", "same"),
    [
        (1.5, 1.5, False, True),
        (1.5, 1.6, False, False),
        (NAN, NAN, False, True),
        (NAN, None, False, False),
        (NAN, None, True, True),
        (None, None, False, True),
        (None, 0.0, True, False),
        (1.1, 1.100000023841858, False, False),
        (1.1, 1.100000023841858, True, True),
        (1.1, 1.10001, True, False),
        (1e300, math.inf, True, True),
    ],
)
def test_values_are_equal(apdb: float | None, ppdb: float | None, mixed: bool, same: bool) -> None:
    comparison = Comparison(SOURCES.table, SOURCES.columns, SOURCES.single, mixed)
    assert comparison.differing(source(flux=apdb), source(flux=ppdb)) == (() if same else ("psfFlux",))


@pytest.mark.parametrize(
    ("pair", "verdict"),
    [
        (Pair((1,), source(), source()), Verdict.EQUAL),
        (Pair((1,), source(), source(flux=2.0)), Verdict.DIFFERENT),
        (Pair((1,), source(), None), Verdict.MISSING),
        (Pair((1,), source(), None, 600), Verdict.AWAITING),
        (Pair((1,), None, source()), Verdict.EXTRA),
    ],
)
def test_a_row_stands(pair: Pair, verdict: Verdict) -> None:
    (judgement,) = judge(SOURCES, pair)
    assert verdicts([judgement]) == [verdict]
    assert (judgement.notes, judgement.records) == ([], ())


def test_a_row_that_a_chunk_brings_again_stops_the_replicator() -> None:
    (judgement,) = judge(SOURCES, Pair((1,), source(), source(), 600))
    assert verdicts([judgement]) == [Verdict.EQUAL]
    assert judgement.notes == [(1,)]


def test_a_row_that_a_record_will_change_is_not_judged() -> None:
    record = UpdateRecord((600, 0, 0, "a"), "DiaSource", (1,), False)
    (judgement,) = judge(SOURCES, Pair((1,), source(), source(owner=8)), records={(1,): [record]})
    assert verdicts([judgement]) == [Verdict.AWAITING]
    assert judgement.records == ()


def test_a_record_of_a_source_without_owner_stops_the_replicator_and_hides_nothing() -> None:
    record = UpdateRecord((600, 0, 0, "a"), "DiaSource", (1,), False)
    (judgement,) = judge(SOURCES, Pair((1,), source(), source(owner=None)), records={(1,): [record]})
    assert verdicts([judgement]) == [Verdict.DIFFERENT]
    assert judgement.records == (record,)


def test_records_of_rows_that_nobody_has_stop_the_replicator() -> None:
    record = UpdateRecord((600, 0, 0, "a"), "DiaSource", (1,), False)
    (judgement,) = judge(SOURCES, records={(1,): [record]})
    assert (judgement.rows, judgement.records) == ((), [record])


def test_a_version_to_come_will_close_the_open_one_only() -> None:
    judgements = judge(
        OBJECTS,
        object_pair(version(1.0, 2.0, n=5), version(1.0, 2.0, n=1)),
        object_pair(version(2.0, 3.0), version(2.0)),
        object_pair(version(3.0), None, 600),
    )
    assert verdicts(judgements) == [Verdict.DIFFERENT, Verdict.AWAITING, Verdict.AWAITING]


def test_a_version_closed_without_a_record_is_different() -> None:
    assert verdicts(judge(OBJECTS, object_pair(version(1.0, 2.0), version(1.0)))) == [Verdict.DIFFERENT]


def test_a_record_finds_the_open_version_that_a_chunk_brings() -> None:
    records = [UpdateRecord((chunk, 0, 0, "a"), "DiaObject", (7,), False) for chunk in (0, 600)]
    (judgement,) = judge(
        OBJECTS,
        object_pair(version(1.0, 2.0), version(1.0, 2.0)),
        object_pair(version(2.0), None, 600),
        records={(7,): records},
    )
    assert judgement.records == (records[0],)
    assert verdicts([judgement]) == [Verdict.EQUAL, Verdict.AWAITING]


def test_a_version_that_arrives_closed_stops_its_record() -> None:
    record = UpdateRecord((1200, 0, 0, "a"), "DiaObject", (7,), True)
    (judgement,) = judge(OBJECTS, object_pair(version(1.0, 2.0), None, 600), records={(7,): [record]})
    assert judgement.records == (record,)
