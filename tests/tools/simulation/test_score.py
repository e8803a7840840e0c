import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.tools.simulation.truth import TRUTH_SCHEMA, score, score_against

BIG = 2**60


def scored(objects, truths):
    ids = BIG + np.arange(len(objects))
    return score(ids, np.array(objects, dtype=np.int64), ids, np.array(truths))


def test_a_perfect_association() -> None:
    result = scored([7, 7, 8, 8, 9], ["a", "a", "b", "b", "c"])
    assert (result.purity, result.completeness) == (1.0, 1.0)
    assert (result.n_objects, result.n_truths) == (3, 3)
    assert (result.n_impure_objects, result.n_duplicate_objects, result.n_lost_sources, result.n_lost_truths) == (
        0,
    ) * 4


def test_a_split_object_is_pure_but_incomplete() -> None:
    result = scored([7, 7, 8, 9], ["a", "a", "a", "b"])
    assert result.purity == 1.0
    assert result.completeness == pytest.approx(2 / 3)
    assert result.n_duplicate_objects == 1


def test_a_merged_object_is_complete_but_impure() -> None:
    result = scored([7, 7, 7, 7, 7], ["a", "a", "a", "b", "b"])
    assert result.purity == pytest.approx(3 / 5)
    assert result.completeness == 1.0
    assert (result.n_impure_objects, result.n_lost_truths) == (1, 1)


def test_sources_without_an_object_are_lost() -> None:
    result = scored([7, 0, 0, 0], ["a", "a", "b", "b"])
    assert result.purity == 1.0
    assert result.completeness == pytest.approx(1 / 4)
    assert (result.n_lost_sources, result.n_lost_truths) == (3, 1)


def test_single_detections_do_not_count_for_completeness() -> None:
    assert math.isnan(scored([7, 8], ["a", "b"]).completeness)
    assert math.isnan(scored([0, 0], ["a", "a"]).purity)


def test_a_source_that_the_association_does_not_know_is_lost() -> None:
    ids = BIG + np.arange(3)
    result = score(ids[:1], np.array([5]), ids, np.array([1, 1, 1]))
    assert result.n_lost_sources == 2
    assert result.completeness == pytest.approx(1 / 3)
    assert score(ids[:0], ids[:0], ids, np.array([1, 1, 1])).n_lost_sources == 3


def test_identifiers_that_agree_in_a_float_are_kept_apart() -> None:
    ids = np.array([BIG + 1, BIG + 2])
    assert scored([BIG + 1, BIG + 2], [1, 1]).n_objects == 2
    assert score(ids, np.array([5, 0]), ids, np.array([1, 1])).n_lost_sources == 1


def test_what_cannot_be_scored_is_refused() -> None:
    ids = np.array([1, 1])
    with pytest.raises(ValueError, match="occurs twice"):
        score(ids, ids, np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="2 diaSourceId and 1"):
        score(np.array([1, 2]), np.array([1]), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="1 truth ids for 2"):
        score(np.array([1, 2]), np.array([1, 1]), np.array([1, 2]), np.array([1]))


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(labels)
def test_against_the_definition_by_counting(pairs) -> None:
    objects, truths = zip(*pairs, strict=True)
    result = scored(objects, truths)
    held = {one: [t for o, t in pairs if o == one] for one in set(objects) - {0}}
    n_pure = sum(max(held_here.count(t) for t in held_here) for held_here in held.values())
    n_associated = sum(map(len, held.values()))
    assert result.n_lost_sources == len(pairs) - n_associated
    if n_associated:
        assert result.purity == pytest.approx(n_pure / n_associated)
    repeated = [t for t in set(truths) if truths.count(t) > 1]
    if repeated:
        best = sum(max((held_here.count(t) for held_here in held.values()), default=0) for t in repeated)
        assert result.completeness == pytest.approx(best / sum(truths.count(t) for t in repeated))


def test_only_the_asked_kinds_count() -> None:
    rows = [(1, 1, "variable"), (2, 1, "variable"), (3, 2, "asteroid"), (4, 2, "asteroid"), (5, 5, "artifact")]
    truth = pa.Table.from_pylist(
        [{"diaSourceId": a, "truth_id": b, "kind": k, "ssObjectId": 0, "ra": 0.0, "dec": 0.0} for a, b, k in rows],
        schema=TRUTH_SCHEMA,
    )
    ids, objects = np.arange(1, 6), np.array([1, 1, 3, 4, 5])
    assert score_against(ids, objects, truth).completeness == 1.0
    assert score_against(ids, objects, truth, kinds=("asteroid",)).completeness == 0.5
