"""Which answers may be published, and how far offsets follow."""

from collections.abc import Collection

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.messaging.marks import MOST_NAMED
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.daemon.order import PendingAnswers, in_order
from tests.service.daemon.fakes import message


def key(visit: int) -> BatchRevision:
    return BatchRevision(visit, 0, 0)


def answer(offset: int, visit: int | None, *, after: Collection[int] = (), partition: int = 0) -> Answer:
    name = None if visit is None else key(visit)
    return Answer(message(offset, partition=partition), [], name, tuple(map(key, after)))


def places(micro_batch: PendingAnswers) -> list[tuple[int, int]]:
    return [(one.partition, one.offset) for one in micro_batch.positions]


@pytest.mark.rules("OffsetStaysBehind", "QueueDoesNotBlock")
def test_what_waits_for_nothing_is_published_and_its_offset_moves_up_to_what_waits() -> None:
    micro_batch = PendingAnswers([answer(0, 1), answer(1, 2, after=[9]), answer(2, 3), answer(0, 4, partition=1)])
    assert micro_batch.awaited == {key(9)}
    step = micro_batch.next_step({key(9)})
    assert step.keys == [key(1), key(3), key(4)]
    assert [(one.partition, one.offset) for one in step.consumed] == [(0, 0), (1, 0)]
    micro_batch.done(step)
    assert places(micro_batch) == [(0, 1), (0, 2)]
    assert not micro_batch.next_step({key(9)})
    last = micro_batch.next_step(())
    assert last.keys == [key(2)]
    micro_batch.done(last)
    assert not micro_batch


def test_a_dead_letter_goes_with_its_offset() -> None:
    micro_batch = PendingAnswers([answer(0, 1, after=[9]), answer(1, None), answer(0, None, partition=1)])
    step = micro_batch.next_step({key(9)})
    assert [one.message.position.partition for one in step.others] == [1]
    micro_batch.done(step)
    assert [one.message.position.offset for one in micro_batch.next_step(()).others] == [1]


def test_predecessors_in_the_same_micro_batch_come_first_whatever_their_places() -> None:
    micro_batch = PendingAnswers([answer(0, 2, after=[1]), answer(0, 1, partition=1)])
    assert micro_batch.awaited == frozenset()
    assert micro_batch.next_step(()).keys == [key(1), key(2)]


def test_a_transaction_names_no_more_than_fit_beside_an_offset() -> None:
    micro_batch = PendingAnswers([answer(i, i) for i in range(MOST_NAMED + 1)])
    step = micro_batch.next_step(())
    assert len(step.keys) == len(step.consumed) == MOST_NAMED
    micro_batch.done(step)
    assert micro_batch.next_step(()).keys == [key(MOST_NAMED)]


@st.composite
def transactions(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Return who has each of some batches in hand, in the order they were stored, and their predecessors."""
    n_batches = draw(st.integers(1, 12))
    return [
        (draw(st.integers(0, 2)), draw(st.lists(st.integers(0, batch - 1), max_size=3)) if batch else [])
        for batch in range(n_batches)
    ]


@given(transactions(), st.randoms(use_true_random=False))
def test_daemons_that_wait_for_each_other_publish_everything_in_order(
    stored: list[tuple[int, list[int]]], random: object
) -> None:
    micro_batches = []
    for owner in range(3):
        answers = [
            answer(batch, batch, after=after, partition=batch % 2)
            for batch, (who, after) in enumerate(stored)
            if who == owner
        ]
        # Redelivered batches stand anywhere in a micro-batch.
        random.shuffle(answers)  # type: ignore[attr-defined]
        micro_batches.append(PendingAnswers(answers))
    published: list[BatchRevision] = []
    while any(micro_batches):
        outbox = {key(batch) for batch in range(len(stored))} - set(published)
        steps = [(micro_batch, micro_batch.next_step(micro_batch.awaited & outbox)) for micro_batch in micro_batches]
        ready = [(micro_batch, step) for micro_batch, step in steps if step]
        assert ready, "they wait for each other"
        micro_batch, step = ready[0]
        micro_batch.done(step)
        published += step.keys
    for batch, (_, after) in enumerate(stored):
        assert all(published.index(key(one)) < published.index(key(batch)) for one in after)


def test_an_entry_behind_one_that_waits_waits_too() -> None:
    assert in_order({key(2): [key(1)], key(3): [key(2)], key(4): []}, {key(1)}) == [key(4)]
