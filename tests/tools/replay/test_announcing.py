"""Visits are announced before their messages are due, by the middle of all their detectors, and the pace stays."""

from dataclasses import dataclass, field

import pytest

from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.tools.replay.announcing import Announcing
from stream_assoc.tools.replay.options import Due
from stream_assoc.tools.replay.plan import Step
from stream_assoc.tools.replay.runner import Replayer, Timer
from tests.pipeline.skies import batch

NOW = 1_700_000_000.0


@dataclass
class Stage:
    """A clock that only waiting moves, and what was sent and announced when."""

    now: float = NOW
    sent: list[tuple[float, bytes | None]] = field(default_factory=list)
    announced: list[tuple[float, AnnouncedVisit]] = field(default_factory=list)

    def timer(self) -> Timer:
        return Timer(lambda: self.now, lambda: self.now, self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def send(self, messages) -> None:
        self.sent += [(self.now - NOW, message.key) for message in messages]

    def flush(self) -> None: ...

    def announce(self, visit: AnnouncedVisit) -> None:
        self.announced.append((self.now - NOW, visit))


def step(visit: int, seconds: float, ra: float, dec: float = 0.0) -> Due:
    value = BatchEncoder().encode(batch(visit, [ra], [dec]))
    return Due(seconds, Step(0, OutputMessage("t", str(visit).encode(), value), 60_000.0))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def replayed(stage: Stage, plan: list[Due], lead: float = 20.0) -> None:
    announcing = Announcing(lead, stage.announce, timer=stage.timer())
    assert Replayer([stage], timer=stage.timer()).run(announcing(plan)).succeeded


def test_each_visit_is_announced_once_and_early_enough(stage: Stage) -> None:
    plan = [step(visit, 40.0 * visit, 10.0 * visit + detector) for visit in range(5) for detector in (0.0, 1.0)]
    replayed(stage, plan)
    assert [visit.groupId for _, visit in stage.announced] == ["0", "1", "2", "3", "4"]
    due = {key: seconds for seconds, key in reversed(stage.sent)}
    for seconds, visit in stage.announced:
        begins = due[visit.groupId.encode()]
        assert seconds <= begins - 20.0
        assert visit.startMjdTai == pytest.approx(mjd_tai_of_unix(NOW + begins), abs=1e-8)
        assert visit.ra == pytest.approx(10.0 * int(visit.groupId) + 0.5, abs=1e-3)


def test_the_pace_is_that_of_the_plan(stage: Stage) -> None:
    replayed(stage, [step(visit, seconds, 10.0) for visit, seconds in enumerate((3.0, 4.0, 50.0, 51.0))])
    assert [seconds for seconds, _ in stage.sent] == [20.0, 21.0, 67.0, 68.0]


def test_all_detectors_count_where_they_are_due_one_after_another(stage: Stage) -> None:
    replayed(stage, [step(7, 1.0 * detector, 350.0 + 2.0 * detector) for detector in range(11)], lead=2.0)
    ((seconds, visit),) = stage.announced
    assert seconds == 0.0
    assert min(visit.ra, 360.0 - visit.ra) == pytest.approx(0.0, abs=1e-6)


def test_what_is_no_batch_is_not_announced(stage: Stage) -> None:
    spoilt = Due(0.0, Step(0, OutputMessage("t", b"spoilt", b"\0\0"), 60_000.0))
    replayed(stage, [spoilt, step(1, 1.0, 10.0), spoilt._replace(seconds=2.0)])
    assert [visit.groupId for _, visit in stage.announced] == ["1"]
    assert len(stage.sent) == 3


def test_a_plan_of_nothing_is_nothing(stage: Stage) -> None:
    replayed(stage, [])
    assert (stage.announced, stage.sent) == ([], [])
    assert stage.now == NOW
