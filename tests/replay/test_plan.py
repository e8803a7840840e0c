from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.replay.exceptions import ReplayError
from stream_assoc.replay.messages import TimedMessage
from stream_assoc.replay.pacing import at_once, at_rate, at_speed
from stream_assoc.replay.plan import REDELIVERY_WINDOW, duplicated, limited, shuffled
from stream_assoc.stream.messages import OutputMessage


def events(times):
    return [TimedMessage(time, OutputMessage("t", b"%d" % i, b"v")) for i, time in enumerate(times)]


SOME = events(range(200))


def test_a_limit_takes_no_more_than_it_needs():
    source = iter(SOME)
    assert list(limited(source, 3)) == SOME[:3]
    assert next(source) == SOME[3]


def test_a_shuffle_keeps_every_message_and_follows_its_seed():
    first = list(shuffled(SOME, 1))
    assert first == list(shuffled(SOME, 1))
    assert first != list(shuffled(SOME, 2)) != SOME
    assert sorted(first, key=lambda event: event.midpointMjdTai) == SOME


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.floats(0.0, 3.0), st.integers(0, 5))
def test_copies_follow_their_originals_soon(n_messages, copies, seed):
    some = SOME[:n_messages]
    given_out = list(duplicated(some, copies, seed))
    assert given_out == list(duplicated(some, copies, seed))
    count = Counter(event.message.key for event in given_out)
    assert all(int(copies) + 1 <= count[event.message.key] <= int(copies) + 2 for event in some)
    originals, seen = [], set()
    for event in given_out:
        if event.message.key in seen:
            # A copy: its original is among the last of the window.
            assert event in originals[-REDELIVERY_WINDOW - 1 :]
        else:
            seen.add(event.message.key)
            originals.append(event)
    assert originals == some


def test_a_fraction_repeats_that_many():
    n_copies = len(list(duplicated(events(range(5000)), 0.1, 3))) - 5000
    assert 400 < n_copies < 600


def test_at_once_everything_is_due():
    assert [due.seconds for due in at_once(SOME[:3])] == [0.0, 0.0, 0.0]


def test_a_rate_spaces_messages_evenly():
    assert [due.seconds for due in at_rate(SOME[:4], 4.0)] == [0.0, 0.25, 0.5, 0.75]


def test_a_speed_keeps_the_intervals_of_the_sky():
    some = events([60_000.0, 60_000.0, 60_000.0 + 1 / 86_400, 60_000.0 + 10 / 86_400])
    assert [due.seconds for due in at_speed(some, 2.0)] == pytest.approx([0.0, 0.0, 0.5, 5.0], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(59_000.0, 61_000.0), max_size=20), st.floats(0.1, 1e6))
def test_the_order_never_changes(times, speed):
    some = events(times)
    plan = list(at_speed(some, speed))
    assert [due.message for due in plan] == [event.message for event in some]
    assert [due.seconds for due in plan] == sorted(due.seconds for due in plan)


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan")])
def test_a_pace_must_be_positive(pace):
    with pytest.raises(ReplayError, match="speed"):
        at_speed(SOME, pace)
    with pytest.raises(ReplayError, match="rate"):
        at_rate(SOME, pace)
