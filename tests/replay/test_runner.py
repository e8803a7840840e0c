import pytest

from stream_assoc.replay import runner
from stream_assoc.replay.pacing import Due
from stream_assoc.replay.runner import replay
from stream_assoc.stream.kafka_errors import DeliveryError, KafkaUnavailableError
from stream_assoc.stream.messages import OutputMessage


class Clock:
    """A clock that only waiting moves."""

    def __init__(self):
        self.now = 1000.0
        self.waits = []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


class Recorder:
    """A producer that keeps what it is sent, and refuses some keys."""

    def __init__(self, clock, refuse=(), takes=0.0):
        self.clock, self.refuse, self.takes = clock, refuse, takes
        self.sent, self.pending, self.n_flushes = [], [], 0

    def send(self, messages):
        self.clock.now += self.takes
        self.sent += [(self.clock.now, message) for message in messages]
        self.pending += messages

    def flush(self):
        self.n_flushes += 1
        failed = [message for message in self.pending if message.key in self.refuse]
        self.pending = []
        if failed:
            raise DeliveryError("broker away", failed)


def plan(times):
    return [Due(time, OutputMessage("t", b"%d" % i, b"value")) for i, time in enumerate(times)]


def test_messages_are_sent_when_they_are_due():
    clock = Clock()
    producer, told = Recorder(clock), []
    report = replay(plan([0.0, 1.0, 1.0, 3.5]), producer, told.append, clock, clock.wait)
    assert [when for when, _ in producer.sent] == [1000.0, 1001.0, 1001.0, 1003.5]
    assert clock.waits == [1.0, 2.5]
    assert told == [1, 2, 3, 4]
    assert (report.n_sent, report.n_confirmed, report.n_bytes, report.seconds) == (4, 4, 20, 3.5)
    assert report.succeeded
    assert report.greatest_delay_seconds == 0.0


def test_a_slow_producer_does_not_move_the_plan():
    clock = Clock()
    producer = Recorder(clock, takes=2.0)
    report = replay(plan([0.0, 1.0, 2.0, 10.0]), producer, clock=clock, wait=clock.wait)
    assert [when - 1000.0 for when, _ in producer.sent] == [2.0, 4.0, 6.0, 12.0]
    assert report.greatest_delay_seconds == 2.0


def test_a_message_that_is_not_confirmed_is_listed():
    clock = Clock()
    report = replay(plan([0.0] * 5), Recorder(clock, refuse={b"1", b"3"}), clock=clock, wait=clock.wait)
    assert not report.succeeded
    assert (report.n_sent, report.n_confirmed) == (5, 3)
    assert [failure.message.key for failure in report.failures] == [b"1", b"3"]
    assert all("broker away" in failure.reason for failure in report.failures)


def test_a_broken_replay_ends_early(monkeypatch):
    monkeypatch.setattr(runner, "CONFIRM_EVERY", 10)
    clock = Clock()
    report = replay(plan([0.0] * 100), Recorder(clock, refuse={b"12"}), clock=clock, wait=clock.wait)
    assert (report.n_sent, report.n_confirmed) == (20, 19)


def test_what_is_no_failed_delivery_is_raised():
    class Away(Recorder):
        def flush(self):
            raise KafkaUnavailableError("nobody there")

    with pytest.raises(KafkaUnavailableError, match="nobody there"):
        replay(plan([0.0]), Away(Clock()))


def test_nothing_is_a_replay_too():
    report = replay([], Recorder(Clock()))
    assert (report.n_sent, report.succeeded) == (0, True)
