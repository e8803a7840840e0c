"""Somebody polls while the daemon works for long, and only then."""

import threading

import pytest

from stream_assoc.messaging.kafka.errors import KafkaUnavailableError
from stream_assoc.service.daemon import membership
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff, RetryLoop
from stream_assoc.service.exceptions import MicroBatchAbandonedError
from stream_assoc.service.instruments import Instruments
from tests.service.daemon.fakes import FakeLog, FakeSource, message

PATIENCE_SECONDS = 60.0


class WatchedSource(FakeSource):
    """Tells when it was idled, and fails if told to."""

    def __init__(self) -> None:
        super().__init__(FakeLog([message(0)]))
        self.polled = threading.Event()
        self.error: KafkaUnavailableError | None = None

    def idle(self, seconds: float) -> None:
        super().idle(seconds)
        self.polled.set()
        if self.error is not None:
            raise self.error


def keeper_of(source: FakeSource) -> MembershipKeeper:
    """Return a keeper that the source asks before it gives partitions up."""
    keeper = MembershipKeeper()
    source.on_revoke = keeper.hold_back
    return keeper


@pytest.fixture
def _always_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MAX_BUSY_SECONDS", 0.0)
    monkeypatch.setattr(membership, "KEEP_SECONDS", 0.0)


def test_short_work_is_left_alone() -> None:
    source = WatchedSource()
    with keeper_of(source).at_work(source):
        pass
    assert source.idled == []


@pytest.mark.usefixtures("_always_long")
def test_while_work_takes_long_paused_partitions_are_polled() -> None:
    source = WatchedSource()
    with keeper_of(source).at_work(source):
        assert source.polled.wait(PATIENCE_SECONDS)
        assert source.paused
    assert not source.paused


@pytest.mark.usefixtures("_always_long")
def test_work_goes_on_when_polling_fails() -> None:
    source = WatchedSource()
    source.error = KafkaUnavailableError("the broker is away")
    with keeper_of(source).at_work(source):
        assert source.polled.wait(PATIENCE_SECONDS)
    assert not source.paused


@pytest.mark.usefixtures("_always_long")
def test_a_revocation_is_held_back_until_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WatchedSource()
    asked, answered = threading.Event(), threading.Event()

    def revoke(seconds: float) -> None:
        asked.set()
        source.on_revoke(frozenset({("dia-sources", 0)}))
        answered.set()

    monkeypatch.setattr(source, "idle", revoke)
    with keeper_of(source).at_work(source):
        assert asked.wait(PATIENCE_SECONDS)
        assert not answered.is_set()
    assert answered.is_set()


@pytest.mark.usefixtures("_always_long")
def test_a_revocation_is_not_held_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "HOLD_FRACTION", 0.0)
    source = WatchedSource()
    answered = threading.Event()

    def revoke(seconds: float) -> None:
        source.on_revoke(frozenset({("dia-sources", 0)}))
        answered.set()

    monkeypatch.setattr(source, "idle", revoke)
    with keeper_of(source).at_work(source):
        assert answered.wait(PATIENCE_SECONDS)


@pytest.mark.usefixtures("_always_long")
def test_a_revocation_is_not_held_back_for_work_that_met_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WatchedSource()
    asked, answered = threading.Event(), threading.Event()

    def revoke(seconds: float) -> None:
        asked.set()
        source.on_revoke(frozenset({("dia-sources", 0)}))
        answered.set()

    monkeypatch.setattr(source, "idle", revoke)
    keeper = keeper_of(source)
    with keeper.at_work(source):
        assert asked.wait(PATIENCE_SECONDS)
        assert not answered.is_set()
        keeper.let_go()
        assert answered.wait(PATIENCE_SECONDS)


class OneAtATime(WatchedSource):
    """Lets one thread in at a time, as the client library does, and has something to revoke."""

    def __init__(self) -> None:
        super().__init__()
        self.revoking = threading.Event()
        self._entrance = threading.RLock()

    def pause(self) -> None:
        assert self._entrance.acquire(timeout=PATIENCE_SECONDS), "nobody can pause while a revocation is held back"
        super().pause()
        self._entrance.release()

    def idle(self, seconds: float) -> None:
        with self._entrance:
            self.revoking.set()
            self.on_revoke(frozenset({("dia-sources", 0)}))
            self.lost.add(0)


@pytest.mark.usefixtures("_always_long")
def test_a_micro_batch_that_fails_does_not_wait_for_the_revocation_that_waits_for_it() -> None:
    source = OneAtATime()
    keeper = keeper_of(source)
    retry_loop = RetryLoop(source, Backoff(), StopRequest(0.0), Health(Instruments()), keeper)

    def fail() -> None:
        assert source.revoking.wait(PATIENCE_SECONDS)
        raise KafkaUnavailableError("the group has gone on without this member")

    with keeper.at_work(source), pytest.raises(MicroBatchAbandonedError):
        retry_loop.until_done(fail, [message(0).position])


def test_a_poll_between_two_micro_batches_is_not_held_back() -> None:
    source = WatchedSource()
    keeper_of(source)
    source.on_revoke(frozenset({("dia-sources", 0)}))
