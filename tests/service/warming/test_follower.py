"""The loop: what is announced is warmed, what is of no use is counted, and nothing of it does harm."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH, mjd_tai_of_unix
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.messaging.avro.next_visits import decode_next_visit
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.pipeline.region import SkyPartition
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.service.warming.follower import Follower, Means
from stream_assoc.service.warming.pace import Pace
from stream_assoc.settings.warming import WarmingSettings

NOW = 1_700_000_000.0
NOW_TAI = (mjd_tai_of_unix(NOW) - MJD_OF_UNIX_EPOCH) * 86_400.0


@dataclass
class FakeAnnouncements:
    """Messages that arrive with each poll."""

    polls: list[list[InputMessage]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    failures: int = 0
    n_sent: int = 0
    n_commits: int = 0
    timestamp_ms: int = round(NOW * 1000)

    def read(self, seconds: float) -> list[InputMessage]:
        if self.failures:
            self.failures -= 1
            raise KafkaUnavailableError("away")
        return self.polls.pop(0) if self.polls else []

    def done_with(self, position: InputPosition) -> None:
        self.done.append(position.offset)

    def commit(self) -> None:
        self.n_commits += 1

    def say(self, *values: bytes | None) -> None:
        """Let these arrive together."""
        first, self.n_sent = self.n_sent, self.n_sent + len(values)
        self.polls.append(
            [
                InputMessage(InputPosition("next-visits", 0, first + i), self.timestamp_ms, None, value)
                for i, value in enumerate(values)
            ]
        )


@dataclass
class FakeWarmer:
    """Three portions a visit."""

    partition: SkyPartition = field(default_factory=SkyPartition)
    regions: list[IntArray] = field(default_factory=list)
    failures: int = 0
    on_portion: Callable[[], None] = lambda: None

    def warm(self, tiles: IntArray) -> Iterator[Warmed]:
        if self.failures:
            self.failures -= 1
            raise ApdbUnavailableError("away")
        self.regions.append(tiles)
        for _ in range(3):
            self.on_portion()
            yield Warmed(1, 2, 1, 2)


@dataclass
class Noting:
    """An observer."""

    n_announced: int = 0
    reasons: list[str] = field(default_factory=list)
    total: Warmed = field(default_factory=Warmed)
    leads: list[float] = field(default_factory=list)

    def announced(self) -> None:
        self.n_announced += 1

    def dropped(self, reason: str) -> None:
        self.reasons.append(reason)

    def warmed(self, portion: Warmed) -> None:
        self.total += portion

    def finished(self, seconds: float, lead_seconds: float) -> None:
        self.leads.append(round(lead_seconds, 3))


class Stage:
    """A follower of fakes."""

    def __init__(self, **settings) -> None:
        self.announcements, self.warmer, self.seen = FakeAnnouncements(), FakeWarmer(), Noting()
        self.stop = StopRequest(1.0)
        self.now = NOW
        means = Means(
            self.announcements,
            decode_next_visit,
            self.warmer,
            Pace(1.0, self.stop.wait),
            self.seen,
            Backoff(0.001, 0.001),
        )
        self.follower = Follower(means, WarmingSettings(**settings), self.stop, lambda: self.now)

    def turns(self, n: int = 1) -> None:
        for _ in range(n):
            self.follower.turn(0.0)


def visit(starts_in: float | None = 20.0, ra: float = 10.0, dec: float = -5.0, **fields) -> bytes:
    start = None if starts_in is None else NOW_TAI + starts_in
    return json.dumps({"position": [ra, dec], "startTime": start, **fields}).encode()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_announced_visit_is_warm_before_it_begins(stage: Stage) -> None:
    stage.announcements.say(visit())
    stage.turns()
    (region,) = stage.warmer.regions
    assert htm_index([10.0, 11.8], [-5.0, -5.0], 10)[0] in region
    assert stage.seen.leads == [20.0]
    assert (stage.seen.n_announced, stage.seen.total) == (1, Warmed(3, 6, 3, 6))
    assert stage.announcements.done == [0]


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 90.0), (123.0, -90.0), (359.999, 0.0), (0.001, 45.0), (10.0, 89.0)])
def test_the_region_is_the_whole_circle(stage: Stage, ra: float, dec: float) -> None:
    stage.announcements.say(visit(ra=ra, dec=dec))
    stage.turns()
    (axis,) = unit_vectors([ra], [dec])
    east, north = np.linalg.svd(axis[None, :])[2][1:]
    turns = np.linspace(0.0, 2.0 * np.pi, 100)
    rim = np.outer(np.cos(turns), east) + np.outer(np.sin(turns), north)
    for radius in np.radians([0.0, 0.9, 1.89999]):
        ring = to_radec(np.cos(radius) * axis + np.sin(radius) * rim)
        assert np.isin(htm_index(*ring, 10), stage.warmer.regions[0]).all()
    # And little more than that: 2,300 tiles of mean size.
    assert len(stage.warmer.regions[0]) < 4000


def test_a_bad_announcement_harms_nothing(stage: Stage) -> None:
    stage.announcements.say(
        None, b"\0\0\0\0\x01", b"[", visit(coordinateSystem=3), visit(dec=91.0), visit(dome=1), visit()
    )
    stage.turns()
    assert stage.seen.reasons == ["undecodable"] * 3 + ["coordinates", "position", "not_on_sky"]
    assert len(stage.warmer.regions) == 1
    assert stage.announcements.done[-1] == 6


def test_visits_of_other_cameras_are_left_out() -> None:
    stage = Stage(instruments=["LSSTCam"])
    stage.announcements.say(visit(instrument="LATISS"), visit(instrument="LSSTCam"), visit(ra=20.0))
    stage.turns(3)
    assert stage.seen.reasons == ["instrument"]
    assert len(stage.warmer.regions) == 2


def test_a_visit_that_has_begun_without_us_is_dropped(stage: Stage) -> None:
    stage.announcements.say(visit(-121.0), visit(-119.0))
    stage.turns(2)
    assert stage.seen.reasons == ["past"]
    assert stage.seen.leads == [-119.0]


def test_a_visit_without_a_start_is_warmed_at_once(stage: Stage) -> None:
    stage.announcements.say(visit(None))
    stage.turns()
    assert stage.seen.leads == [0.0]


def test_warming_ends_when_the_visit_is_elsewhere(stage: Stage) -> None:
    stage.announcements.say(visit(groupId="a"))
    stage.announcements.say(visit(groupId="a", ra=50.0))
    stage.turns(2)
    assert stage.seen.reasons == ["superseded"]
    assert len(stage.warmer.regions) == 2
    assert stage.seen.total == Warmed(4, 8, 4, 8)
    assert stage.announcements.done[-1] == 1


def test_warming_ends_when_the_visit_is_past(stage: Stage) -> None:
    def sleep() -> None:
        stage.now += 100.0

    stage.warmer.on_portion = sleep
    stage.announcements.say(visit())
    stage.turns()
    assert stage.seen.reasons == ["past"]
    assert stage.seen.total.tiles == 2


def test_services_that_are_away_are_waited_for(stage: Stage) -> None:
    stage.announcements.failures, stage.warmer.failures = 2, 3
    stage.announcements.say(visit())
    stage.turns()
    assert stage.seen.leads == [20.0]


def test_a_request_to_stop_ends_it_after_the_portion_and_leaves_the_visit_to_others(stage: Stage) -> None:
    stage.warmer.on_portion = stage.stop.set
    stage.announcements.say(visit())
    stage.follower.run()
    assert stage.seen.total.tiles == 1
    assert stage.announcements.done == []


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -1, 0, 2**53, 2**62, 2**63 - 1])
def test_a_message_whose_producer_dates_it_out_of_any_calendar_is_of_now(stage: Stage, timestamp_ms: int) -> None:
    stage.announcements.timestamp_ms = timestamp_ms
    stage.announcements.say(visit(), visit(None, ra=30.0))
    stage.turns(2)
    assert sorted(stage.seen.leads) == [0.0, 20.0]
    assert stage.announcements.done[-1] == 1


def test_the_broker_is_told_of_many_finished_messages_at_once(stage: Stage) -> None:
    stage.announcements.say(*[visit(-500.0)] * 1000)
    stage.turns(2)
    assert stage.announcements.done[-1] == 999
    assert stage.announcements.n_commits == 1
    stage.announcements.say(visit())
    stage.turns(2)
    assert stage.announcements.n_commits == 2
