"""Conditional writes whose answer never comes: they count as failed only once they cannot happen any more."""

from collections.abc import Callable

import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError, FencedError
from stream_assoc.stores.apdb.cassandra.failures import UnknownOutcomeError
from stream_assoc.stores.apdb.cassandra.groups import State
from tests.stores.apdb.cassandra.daemon import NEAR, Daemon, items

pytestmark = pytest.mark.integration

Two = tuple[Daemon, Daemon]


def lose_answers(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, of: str, *, happens: bool, times: int = 1) -> None:
    """Let conditional writes with a word in them get no answer, so many times."""
    decide: Callable[..., bool] = daemon.connection.decide
    left = [None] * times

    def unanswered(statement: str, *parameters: object) -> bool:
        if of not in statement or not left:
            return decide(statement, *parameters)
        left.pop()
        if happens:
            decide(statement, *parameters)
        raise UnknownOutcomeError("no answer")

    monkeypatch.setattr(daemon.connection, "decide", unanswered)


def test_a_commit_that_has_happened_counts(daemons: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = daemons
    group_id, timestamp = one.take(NEAR)
    lose_answers(one, monkeypatch, "'committed'", happens=True)
    one.commit(group_id, timestamp, [items([(1, "a", None)])])
    one.finish(group_id)
    assert other.item(1) == ("a", None)


@pytest.mark.rules("DoubtEndsByLWT")
def test_a_commit_that_has_not_happened_never_will(daemons: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = daemons
    group_id, timestamp = one.take(NEAR)
    lose_answers(one, monkeypatch, "'committed'", happens=False)
    with pytest.raises(FencedError):
        one.commit(group_id, timestamp, [items([(1, "a", None)])])
    assert other.groups.read(group_id).state is State.ABORTED


def test_a_commit_stays_unknown_while_the_ring_is_away(daemons: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = daemons
    group_id, timestamp = one.take(NEAR)
    lose_answers(one, monkeypatch, "UPDATE", happens=False, times=100)
    with pytest.raises(ApdbUnavailableError) as caught:
        one.commit(group_id, timestamp, [items([(1, "a", None)])])
    assert not isinstance(caught.value, FencedError)
    assert other.groups.read(group_id).state is State.PREPARING


def test_an_abort_without_an_answer_is_made_again(daemons: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = daemons
    for happens in (True, False):
        group_id, _ = one.take(NEAR)
        lose_answers(one, monkeypatch, "'aborted'", happens=happens)
        assert one.groups.abort(group_id) is State.ABORTED
        monkeypatch.undo()


@pytest.mark.parametrize("happens", [True, False])
def test_cells_without_an_answer_are_taken_and_given_back(
    daemons: Two, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    one, other = daemons
    decide_together = one.connection.decide_together
    calls = []

    def unanswered(statements: list[tuple[str, tuple[object, ...]]]) -> bool:
        calls.append(statements)
        if len(calls) % 2 == 0:
            return decide_together(statements)
        if happens:
            decide_together(statements)
        raise UnknownOutcomeError("no answer")

    monkeypatch.setattr(one.connection, "decide_together", unanswered)
    one.add(1, "a", NEAR)
    assert len(calls) >= 2
    monkeypatch.undo()
    other.add(1, "b", NEAR)
    assert other.item(1) == ("ab", None)
    assert set(other.leases.read([NEAR])[NEAR].tile_versions.values()) == {2}
