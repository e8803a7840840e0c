"""A message that ends daemons becomes a dead letter by itself; one that is well never does, whoever is killed."""

from collections.abc import Collection, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.daemon.watched_handler import Partition, Tried, WatchedHandler
from stream_assoc.service.exceptions import TrialUndecidedError
from tests.service.daemon.fakes import message

MICRO_BATCH = 8


class ProcessEnded(BaseException):
    """The process is gone."""


class Notebook:
    """Notes that outlive a process, as those in a database do."""

    def __init__(self) -> None:
        self.notes: dict[Partition, InHand] = {}
        self.n_written = 0

    def in_hand(self, partitions: Collection[Partition]) -> list[InHand]:
        return [self.notes[one] for one in partitions if one in self.notes]

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        self.n_written += 1
        self.notes |= {(note.topic, note.partition): note for note in notes}


class Worker:
    """Processes messages durably; some end the process, and it may be killed at a step of its own."""

    def __init__(self, ledger: set[int], killers: set[int], steps: int = 10**9) -> None:
        self.ledger = ledger
        self.killers = killers
        self.steps = steps
        self.micro_batches: list[list[int]] = []

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise ProcessEnded

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        offsets = [one.position.offset for one in messages]
        self.micro_batches.append(offsets)
        self.step()
        if self.killers & set(offsets) - self.ledger:
            raise ProcessEnded
        self.ledger |= set(offsets)
        self.step()
        return [Answer(one, [OutputMessage("out", None, one.value)]) for one in messages]

    def reject(self, message: InputMessage, error: PoisonError) -> Answer:
        return Answer(message, [OutputMessage("dead", None, error.reason.encode())])

    def finish(self, seconds: Mapping[str, float]) -> None: ...


class Stream:
    """A partition read by one life of the daemon after another."""

    def __init__(self, n: int, killers: set[int]) -> None:
        self.messages = [message(offset, value=b"%d" % offset) for offset in range(n)]
        self.killers = killers
        self.ledger: set[int] = set()
        self.notebook = Notebook()
        self.committed = 0
        self.published: list[OutputMessage] = []
        self.tried: list[int] = []
        self.micro_batches: list[list[int]] = []

    def trial(self, messages: Sequence[InputMessage]) -> Tried:
        for n_done, one in enumerate(messages):
            self.tried.append(one.position.offset)
            if one.position.offset in self.killers - self.ledger:
                return Tried(n_done, "SIGSEGV")
            self.ledger.add(one.position.offset)
        return Tried(len(messages))

    def live(self, steps: int = 10**9) -> bool:
        """Live until everything is read, or the process ends after so many steps; return whether it has not."""
        worker = Worker(self.ledger, self.killers, steps)
        handler = WatchedHandler(worker, self.notebook, self.trial)
        try:
            while self.committed < len(self.messages):
                micro_batch = self.messages[self.committed : self.committed + MICRO_BATCH]
                answers = handler.answer(micro_batch)
                worker.step()
                self.published += [output for answer in answers for output in answer.outputs]
                self.committed += len(micro_batch)
        except ProcessEnded:
            return False
        finally:
            self.micro_batches = worker.micro_batches
        return True


def expected(n: int, killers: set[int]) -> list[OutputMessage]:
    return [
        OutputMessage("dead", None, b"ends_process")
        if offset in killers
        else OutputMessage("out", None, b"%d" % offset)
        for offset in range(n)
    ]


def test_a_message_that_ends_the_process_is_a_dead_letter_after_two_deaths() -> None:
    stream = Stream(20, killers={3})
    assert [stream.live() for _ in range(3)] == [False, False, True]
    assert stream.published == expected(20, {3})
    assert stream.tried == [3, 4, 5, 6, 7], "and what came after it in the micro-batch"


@pytest.mark.parametrize("killers", [{0}, {19}, {3, 4}, {0, 7, 8, 19}, set(range(20))])
def test_each_of_them_costs_two_deaths(killers: set[int]) -> None:
    stream = Stream(20, killers)
    n_deaths = 0
    while not stream.live():
        n_deaths += 1
        assert n_deaths <= 2 * len(killers)
    assert stream.published == expected(20, killers)


def test_without_deaths_a_micro_batch_is_noted_once_and_taken_together() -> None:
    stream = Stream(20, killers=set())
    assert stream.live()
    assert stream.micro_batches == [list(range(8)), list(range(8, 16)), list(range(16, 20))]
    assert stream.notebook.n_written == 3


def test_after_a_death_only_what_was_in_hand_is_taken_one_at_a_time() -> None:
    stream = Stream(20, killers=set())
    assert not stream.live(steps=3)
    assert stream.committed == 8
    assert stream.live()
    assert stream.micro_batches == [*([offset] for offset in range(8, 16)), list(range(16, 20))]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 25), max_size=40), st.sets(st.integers(0, 19), max_size=2))
def test_kills_at_any_step_condemn_nothing_that_is_well(lives: list[int], killers: set[int]) -> None:
    stream = Stream(20, killers)
    for steps in lives:
        stream.live(steps)
    for _ in range(2 * len(killers) + 1):
        stream.live()
    assert stream.published == expected(20, killers)


@pytest.mark.parametrize("steps", range(6))
def test_a_message_that_is_killed_at_one_step_again_and_again_is_none_of_them(steps: int) -> None:
    stream = Stream(1, killers=set())
    for _ in range(10):
        stream.live(steps)
    assert stream.live()
    assert stream.published == expected(1, set())


def test_a_service_that_is_away_during_a_trial_decides_nothing() -> None:
    notebook = Notebook()
    notebook.notes["dia-sources", 0] = InHand("dia-sources", 0, 0, 0, is_suspect=True)
    outcomes: list[Exception | None] = [TrialUndecidedError("the database is away"), None]

    def trial(messages: Sequence[InputMessage]) -> Tried:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        return Tried(len(messages))

    handler = WatchedHandler(Worker(set(), set()), notebook, trial)
    with pytest.raises(TrialUndecidedError):
        handler.answer([message(0)])
    assert [answer.outputs[0].topic for answer in handler.answer([message(0)])] == ["out"]


def test_partitions_are_watched_each_by_itself() -> None:
    notebook = Notebook()
    notebook.notes["dia-sources", 1] = InHand("dia-sources", 1, 5, 6)
    worker = Worker(set(), set())
    micro_batch = [message(5, partition=0), message(5, partition=1), message(6, partition=1), message(7, partition=1)]
    answers = WatchedHandler(worker, notebook, lambda messages: Tried(0)).answer(micro_batch)
    assert [answer.message for answer in answers] == micro_batch
    assert worker.micro_batches == [[5], [5], [6], [7]]
    assert notebook.notes == {
        ("dia-sources", 0): InHand("dia-sources", 0, 5, 5),
        ("dia-sources", 1): InHand("dia-sources", 1, 7, 7),
    }


def test_a_trial_that_cannot_work_leaves_the_messages_to_the_daemon() -> None:
    notebook = Notebook()
    notebook.notes["dia-sources", 0] = InHand("dia-sources", 0, 0, 0, is_suspect=True)
    worker = Worker(set(), set())
    tried = [Tried(0, "SIGBUS"), Tried(1)]
    micro_batch = [message(offset) for offset in range(3)]
    answers = WatchedHandler(worker, notebook, lambda messages: tried.pop(0)).answer(micro_batch)
    assert [answer.outputs[0].topic for answer in answers] == ["dead", "out", "out"]
    assert worker.micro_batches == [[1], [2]]
