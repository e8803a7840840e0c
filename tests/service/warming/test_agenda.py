"""Which announced visit comes next, and which need not be warmed any more."""

import pytest

from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.service.warming import agenda
from stream_assoc.service.warming.agenda import Agenda, Entry, Unfinished

NOW = 61_000.0
SECOND = 1.0 / 86_400.0


def entry(begins_in: float, group: str = "", ra: float = 10.0, offset: int = 0) -> Entry:
    begins = NOW + begins_in * SECOND
    return Entry(AnnouncedVisit(ra, -5.0, begins, group), InputPosition("next-visits", 0, offset), begins)


class Clocked:
    """An agenda whose time a test sets, and what it has dropped."""

    def __init__(self) -> None:
        self.now = NOW
        self.dropped: list[tuple[Entry, str]] = []
        self.agenda = Agenda(600.0, 120.0, lambda: self.now, lambda one, why: self.dropped.append((one, why)))

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds * SECOND


@pytest.fixture
def clocked() -> Clocked:
    return Clocked()


def test_what_begins_first_comes_first(clocked: Clocked) -> None:
    later, sooner, begun = entry(40.0), entry(20.0), entry(-5.0)
    for one in (later, sooner, begun):
        clocked.agenda.add(one)
    assert [clocked.agenda.next() for _ in range(4)] == [begun, sooner, later, None]
    assert clocked.dropped == []


def test_a_whole_night_waits_for_its_time(clocked: Clocked) -> None:
    visits = [entry(700.0 * turn) for turn in range(1, 5)]
    for one in visits:
        clocked.agenda.add(one)
    assert clocked.agenda.next() is None
    clocked.pass_seconds(101.0)
    assert [clocked.agenda.next(), clocked.agenda.next()] == [visits[0], None]
    assert len(clocked.agenda) == 3


def test_what_is_past_is_dropped_when_it_comes_and_when_it_is_its_turn(clocked: Clocked) -> None:
    past, waiting = entry(-121.0), entry(10.0)
    clocked.agenda.add(past)
    clocked.agenda.add(waiting)
    clocked.pass_seconds(131.0)
    assert clocked.agenda.next() is None
    assert clocked.dropped == [(past, agenda.PAST), (waiting, agenda.PAST)]


def test_the_later_announcement_of_a_visit_takes_the_earlier_ones_place(clocked: Clocked) -> None:
    first, other, second = entry(20.0, "a"), entry(30.0, "b"), entry(40.0, "a", ra=11.0)
    for one in (first, other, second):
        clocked.agenda.add(one)
    assert clocked.agenda.why_not(first) == agenda.SUPERSEDED
    assert [clocked.agenda.next() for _ in range(3)] == [other, second, None]
    assert clocked.dropped == [(first, agenda.SUPERSEDED)]
    assert clocked.agenda.why_not(second) is None


def test_the_same_again_is_nothing_new(clocked: Clocked) -> None:
    """A fan-out announces a visit once for each detector."""
    first, again = entry(20.0, "a"), entry(20.0, "a", offset=1)
    clocked.agenda.add(first)
    clocked.agenda.add(again)
    assert clocked.agenda.next() is first
    clocked.agenda.add(again)
    assert clocked.agenda.next() is None
    assert clocked.dropped == [(again, agenda.REPEATED)] * 2


def test_visits_without_a_name_are_each_their_own(clocked: Clocked) -> None:
    for offset in range(3):
        clocked.agenda.add(entry(20.0, offset=offset))
    assert [clocked.agenda.next() is not None for _ in range(4)] == [True, True, True, False]


def test_a_flood_has_an_end_and_does_not_keep_out_what_begins_sooner(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "MOST_WAITING", 5)
    years = [entry(1e8 + offset, str(offset), offset=offset) for offset in range(8)]
    tonight = entry(20.0, "tonight", offset=8)
    for one in (*years, tonight):
        clocked.agenda.add(one)
    assert clocked.dropped == [(one, agenda.CROWDED) for one in (*years[5:], years[4])]
    assert len(clocked.agenda) == 5
    assert clocked.agenda.next() is tonight
    clocked.agenda.add(years[4])
    assert len(clocked.agenda) == 5


def test_nothing_before_a_finished_message_is_lost() -> None:
    unfinished = Unfinished()
    places = [InputPosition("next-visits", partition, offset) for partition in (0, 1) for offset in (5, 6, 9)]
    for place in places:
        unfinished.begin(place)
    assert unfinished.finish(places[1]) == InputPosition("next-visits", 0, 4)
    assert unfinished.finish(places[0]) == InputPosition("next-visits", 0, 8)
    assert unfinished.finish(places[2]) == InputPosition("next-visits", 0, 9)
    assert unfinished.finish(places[3]) == InputPosition("next-visits", 1, 5)


def test_nothing_is_before_the_first_message() -> None:
    unfinished = Unfinished()
    first, second = (InputPosition("next-visits", 0, offset) for offset in (0, 1))
    unfinished.begin(first)
    unfinished.begin(second)
    assert unfinished.finish(second) is None
    assert unfinished.finish(first) == second


def test_messages_that_come_again_are_waited_for_again() -> None:
    """A partition may go to another member and come back, from an earlier offset."""
    unfinished = Unfinished()
    places = [InputPosition("next-visits", 0, offset) for offset in range(3, 8)]
    for place in (*places[2:], *places):
        unfinished.begin(place)
    assert unfinished.finish(places[4]) == InputPosition("next-visits", 0, 2)
    for place in places[:3]:
        done = unfinished.finish(place)
    assert done == InputPosition("next-visits", 0, 5)
    assert unfinished.finish(places[3]) == InputPosition("next-visits", 0, 7)
