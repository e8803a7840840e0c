"""The account notices everything that can go wrong between a replay and what came of it."""

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.messaging.avro.dead_letters import DeadLetterRecord
from stream_assoc.tools.simulation.truth import score
from stream_assoc.tools.verification.account import (
    Answered,
    Bars,
    BatchContent,
    Expectation,
    is_complete,
    latency_lines,
    message_lines,
    score_lines,
    source_lines,
)
from stream_assoc.tools.verification.arrivals import Answer, Arrivals, Place, Sent
from tests.outputs import metrics_of

FIRST, SECOND = (BatchContent(BatchId(1, detector), b"digest%d" % detector) for detector in (1, 2))


@pytest.fixture
def expected():
    """Two batches, the first with a copy, and a spoilt message: steps 0, 1, 2 and 3."""
    made = Expectation()
    made.batches[FIRST] = [0, 2]
    made.batches[SECOND] = [1]
    made.spoilt = {3}
    made.sources = {FIRST: np.array([10, 11, 12]), SECOND: np.array([20])}
    return made


@pytest.fixture
def arrivals():
    """All went well: each step lies at its own offset, was due at 100 s and sent a tenth later."""
    seen = Arrivals({Place(0, step): Sent(step, 100.0 + step, 100.1 + step) for step in range(4)})
    seen.answers[Place(0, 0)] = [Answer(metrics_of(1, detector=1, numMarginalDiaSources=1), 100.5)]
    seen.answers[Place(0, 1)] = [Answer(metrics_of(1, detector=2, numDroppedDiaSources=1), 102.0)]
    seen.letters[Place(0, 3)] = [letter("undecodable")]
    return seen


def letter(reason):
    return DeadLetterRecord(reason, "", "", "dia-sources", 0, 0, 0, 0)


def wrong(expected, arrivals):
    return [line.name for line in message_lines(expected, Answered(expected, arrivals)) if not line.is_right]


def test_all_is_well(expected, arrivals) -> None:
    assert wrong(expected, arrivals) == []
    assert is_complete(expected, arrivals)


def test_a_message_that_never_arrived_is_missing_and_lost(expected, arrivals) -> None:
    del arrivals.sent[Place(0, 1)], arrivals.answers[Place(0, 1)]
    assert wrong(expected, arrivals) == [
        "messages on the input topic",
        "messages missing there",
        "batches answered by metrics",
        "batches lost: no answer",
    ]


def test_a_message_sent_twice_is_told(expected, arrivals) -> None:
    arrivals.sent[Place(1, 0)] = arrivals.sent[Place(0, 1)]
    assert wrong(expected, arrivals) == ["messages there twice, not asked for"]


def test_a_batch_without_an_answer_is_lost(expected, arrivals) -> None:
    del arrivals.answers[Place(0, 0)]
    assert not is_complete(expected, arrivals)
    assert "batches lost: no answer" in wrong(expected, arrivals)


def test_a_copy_may_be_the_one_that_is_answered(expected, arrivals) -> None:
    arrivals.answers[Place(0, 2)] = arrivals.answers.pop(Place(0, 0))
    assert wrong(expected, arrivals) == []


def test_a_copy_that_is_answered_as_well_counts_twice(expected, arrivals) -> None:
    arrivals.answers[Place(0, 2)] = arrivals.answers[Place(0, 0)]
    assert wrong(expected, arrivals) == ["batches answered twice"]


def test_another_revision_is_no_second_answer(expected, arrivals) -> None:
    arrivals.answers[Place(0, 2)] = [Answer(metrics_of(1, detector=1, revision=1), 103.0)]
    assert wrong(expected, arrivals) == []


def test_a_good_batch_among_the_dead_letters_is_told(expected, arrivals) -> None:
    del arrivals.answers[Place(0, 1)]
    arrivals.letters[Place(0, 1)] = [letter("quarantine")]
    assert wrong(expected, arrivals) == ["batches set aside"]
    assert is_complete(expected, arrivals)


def test_a_batch_that_reuses_a_visit_is_expected_there(expected, arrivals) -> None:
    other = BatchContent(BatchId(1, 1), b"other")
    expected.batches[other] = [4]
    expected.sources[other] = np.array([30])
    arrivals.sent[Place(0, 4)] = Sent(4, 104.0, 104.1)
    arrivals.letters[Place(0, 4)] = [letter("conflicting_batch")]
    assert wrong(expected, arrivals) == []


def test_damage_that_was_overlooked_is_told(expected, arrivals) -> None:
    del arrivals.letters[Place(0, 3)]
    arrivals.answers[Place(0, 3)] = [Answer(metrics_of(9), 104.0)]
    assert wrong(expected, arrivals) == [
        "spoilt messages in the dead letters",
        "spoilt messages processed all the same",
    ]


@pytest.mark.parametrize(("n_stored", "is_right"), [(2, True), (1, False), (3, False)])
def test_every_source_is_accounted_for(expected, arrivals, n_stored: int, is_right: bool) -> None:
    first, *_ = source_lines(expected, Answered(expected, arrivals), n_stored, 0, None, Bars())
    assert first.is_right == is_right
    assert first.expected == "4"


def test_a_score_is_held_to_its_bars() -> None:
    ids = np.arange(1, 7)
    # Two objects of three; the truth has one source of the first in the second.
    result = score(ids, np.array([1, 1, 1, 2, 2, 2]), ids, np.array([1, 1, 2, 2, 2, 2]))
    names = {line.name: line for line in score_lines(result, Bars(min_purity=0.9, min_completeness=0.5))}
    assert not names["purity of objects"].is_right
    assert names["purity of objects"].value == "83.333%"
    assert names["completeness"].is_right
    assert all(line.is_right for line in score_lines(result, Bars()))


def test_latency_counts_from_due(arrivals) -> None:
    due, sent, late = latency_lines(arrivals, Bars(max_p99_seconds=0.5))
    assert due.value == "0.750, 0.995, 1.000 s"
    assert not due.is_right
    assert sent.value == "0.650, 0.895, 0.900 s"
    assert late.value == "0.100, 0.100, 0.100 s"
    assert latency_lines(arrivals, Bars(max_p99_seconds=1.0))[0].is_right


def test_without_answers_there_is_no_latency() -> None:
    (line,) = latency_lines(Arrivals(), Bars())
    assert line.value.startswith("no message was answered")
