import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.tools.replay.exceptions import ReplayError
from stream_assoc.tools.replay.messages import TimedMessage
from stream_assoc.tools.replay.options import at_once, at_rate, at_speed, in_bursts
from stream_assoc.tools.replay.plan import (
    REDELIVERY_WINDOW,
    Step,
    corrupted,
    dropped,
    duplicated,
    late,
    limited,
    shuffled,
    steps_of,
)


def events(times):
    return [TimedMessage(time, OutputMessage("t", b"%d" % i, b"v")) for i, time in enumerate(times)]


def steps(times):
    return list(steps_of(events(times)))


SOME = events(range(200))
STEPS = steps(range(200))


def test_a_limit_takes_no_more_than_it_needs() -> None:
    source = iter(SOME)
    assert list(limited(source, 3)) == SOME[:3]
    assert next(source) == SOME[3]


def test_a_shuffle_keeps_every_message_and_follows_its_seed() -> None:
    first = list(shuffled(SOME, 1))
    assert first == list(shuffled(SOME, 1))
    assert first != list(shuffled(SOME, 2)) != SOME
    assert sorted(first, key=lambda event: event.midpointMjdTai) == SOME


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.floats(0.0, 3.0), st.integers(0, 5))
def test_copies_follow_their_originals_soon(n_messages, copies, seed) -> None:
    some = STEPS[:n_messages]
    given_out = list(duplicated(some, copies, seed))
    assert given_out == list(duplicated(some, copies, seed))
    count = Counter(step.position for step in given_out)
    assert all(int(copies) + 1 <= count[step.position] <= int(copies) + 2 for step in some)
    originals: list[Step] = []
    for step in given_out:
        if step.is_copy:
            assert step.position in [one.position for one in originals[-REDELIVERY_WINDOW - 1 :]]
        else:
            originals.append(step)
    assert originals == some


def test_a_fraction_repeats_that_many() -> None:
    n_copies = len(list(duplicated(steps(range(5000)), 0.1, 3))) - 5000
    assert 400 < n_copies < 600


def test_at_once_everything_is_due() -> None:
    assert [due.seconds for due in at_once(STEPS[:3])] == [0.0, 0.0, 0.0]


def test_a_rate_spaces_messages_evenly() -> None:
    assert [due.seconds for due in at_rate(STEPS[:4], 4.0)] == [0.0, 0.25, 0.5, 0.75]


def test_a_speed_keeps_the_intervals_of_the_sky() -> None:
    some = steps([60_000.0, 60_000.0, 60_000.0 + 1 / 86_400, 60_000.0 + 10 / 86_400])
    assert [due.seconds for due in at_speed(some, 2.0)] == pytest.approx([0.0, 0.0, 0.5, 5.0], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(59_000.0, 61_000.0), max_size=20), st.floats(0.1, 1e6))
def test_the_order_never_changes(times, speed) -> None:
    some = steps(times)
    plan = list(at_speed(some, speed))
    assert [due.step for due in plan] == some
    assert [due.seconds for due in plan] == sorted(due.seconds for due in plan)


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan")])
def test_a_pace_must_be_positive(pace: float) -> None:
    with pytest.raises(ReplayError, match="speed"):
        at_speed(STEPS, pace)
    with pytest.raises(ReplayError, match="rate"):
        at_rate(STEPS, pace)


FRACTIONS = st.floats(0.0, 1.0)


@settings(max_examples=50)
@given(st.integers(0, 80), FRACTIONS, FRACTIONS, FRACTIONS, st.floats(0.0, 2.0), st.integers(0, 5))
def test_everything_that_goes_wrong_is_decided_by_the_seed(n_messages, drop, hold, spoil, copies, seed) -> None:
    some = steps([60_000.0 + index / 2000 for index in range(n_messages)])

    def plan():
        chosen = dropped(duplicated(some, copies, seed), drop, seed)
        return list(corrupted(late(chosen, hold, 900.0, seed), spoil, seed))

    made = plan()
    assert made == plan()
    # Nothing is lost on the way: every message is sent, or known to be left out, at least once.
    assert Counter(step.position for step in made) == Counter(
        step.position for step in duplicated(some, copies, seed)
    )


@settings(max_examples=50)
@given(st.integers(0, 5), FRACTIONS)
def test_dropping_does_not_change_what_else_happens(seed, drop) -> None:
    spoilt = {step.position for step in corrupted(STEPS, 0.2, seed) if step.is_damaged}
    assert spoilt == {step.position for step in corrupted(dropped(STEPS, drop, seed), 0.2, seed) if step.is_damaged}


def test_fractions_are_kept() -> None:
    many = steps([60_000.0] * 5000)
    for change, name in ((dropped, "is_dropped"), (corrupted, "is_damaged")):
        assert 400 < sum(getattr(step, name) for step in change(many, 0.1, 3)) < 600
        assert not any(getattr(step, name) for step in change(many, 0.0, 3))
        assert all(getattr(step, name) for step in change(many, 1.0, 3))


def test_copies_share_the_lot_of_their_original() -> None:
    lots: dict[int, set[tuple[bool, bool, bytes | None]]] = {}
    for step in corrupted(dropped(duplicated(STEPS, 1.0, 4), 0.3, 4), 0.3, 4):
        lots.setdefault(step.position, set()).add((step.is_dropped, step.is_damaged, step.message.value))
    assert {len(one) for one in lots.values()} == {1}


@settings(max_examples=50)
@given(FRACTIONS, st.floats(1.0, 5000.0), st.integers(0, 5))
def test_late_messages_are_overtaken_and_none_is_early(fraction, by_seconds, seed) -> None:
    some = steps([60_000.0 + index * 40 / 86_400 for index in range(60)])
    given_out = list(late(some, fraction, by_seconds, seed))
    assert [step for step in given_out if not step.is_late] == [
        step for step in some if step.position not in {one.position for one in given_out if one.is_late}
    ]
    for step in given_out:
        delay = (step.midpointMjdTai - some[step.position].midpointMjdTai) * 86_400
        assert 0.0 <= delay <= by_seconds + 1e-3
        assert step.is_late or delay == 0.0
    sent = [step.midpointMjdTai for step in given_out]
    # At the pace of the sky they are due in the order they are given.
    assert all(one <= other + 1e-9 for one, other in itertools.pairwise(sent))


def test_late_messages_come_late() -> None:
    some = steps([60_000.0 + index * 40 / 86_400 for index in range(400)])
    given_out = [step.position for step in late(some, 0.2, 600.0, 1)]
    assert given_out != sorted(given_out)
    assert sorted(given_out) == list(range(400))


@settings(max_examples=50)
@given(st.integers(0, 40), st.integers(1, 9), st.floats(0.1, 100.0))
def test_bursts_wait_for_their_last(n_messages, size, rate) -> None:
    plan = list(at_rate(STEPS[:n_messages], rate))
    bursts = list(in_bursts(plan, size))
    assert [due.step for due in bursts] == [due.step for due in plan]
    for index, due in enumerate(bursts):
        last = min(index // size * size + size, n_messages) - 1
        assert due.seconds == plan[last].seconds
