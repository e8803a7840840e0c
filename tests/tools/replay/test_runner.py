from typing import Never

import pytest

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.errors import DeliveryError, KafkaUnavailableError
from stream_assoc.tools.replay import runner
from stream_assoc.tools.replay.options import Due
from stream_assoc.tools.replay.plan import Step
from stream_assoc.tools.replay.runner import Observer, Replayer, Timer, micro_batches


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self):
        return self.now

    def wait(self, seconds) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Recorder:
    """A producer that keeps what it is sent, and refuses some keys."""

    def __init__(self, clock, refuse=(), takes=0.0) -> None:
        self.clock, self.refuse, self.takes = clock, refuse, takes
        self.sent: list[tuple[float, OutputMessage]] = []
        self.pending: list[OutputMessage] = []
        self.n_flushes = 0

    def send(self, messages) -> None:
        self.clock.now += self.takes
        self.sent += [(self.clock.now, message) for message in messages]
        self.pending += messages

    def flush(self) -> None:
        self.n_flushes += 1
        failed = [message for message in self.pending if message.key in self.refuse]
        self.pending = []
        if failed:
            raise DeliveryError("broker away", failed)


def plan(times):
    return [Due(time, Step(i, OutputMessage("t", b"%d" % i, b"value"), 60_000.0)) for i, time in enumerate(times)]


class Listener(Observer):
    """Notes what it is told."""

    def __init__(self, told) -> None:
        self.told = told

    def before(self, n_steps) -> None:
        self.told.append(("before", n_steps))

    def after(self, n_steps) -> None:
        self.told.append(("after", n_steps))


def replay(dues, producer, told=None, clock=None, wait=None, first_step=0):
    observer = None if told is None else Listener(told)
    timer = None if clock is None else Timer(clock, clock, wait)
    return Replayer([producer], observer, timer).run(dues, first_step)


def test_messages_are_sent_when_they_are_due() -> None:
    clock = Clock()
    producer = Recorder(clock)
    told: list[tuple[str, int]] = []
    report = replay(plan([0.0, 1.0, 1.0, 3.5]), producer, told, clock, clock.wait)
    assert [when for when, _ in producer.sent] == [1000.0, 1001.0, 1001.0, 1003.5]
    assert clock.waits == [1.0, 2.5]
    assert told == [("before", 4), ("after", 4)]
    assert (report.n_sent, report.n_confirmed, report.n_bytes, report.seconds) == (4, 4, 20, 3.5)
    assert report.succeeded
    assert report.greatest_delay_seconds == 0.0


def test_a_slow_producer_does_not_move_the_plan() -> None:
    clock = Clock()
    producer = Recorder(clock, takes=2.0)
    report = replay(plan([0.0, 1.0, 2.0, 10.0]), producer, clock=clock, wait=clock.wait)
    assert [when - 1000.0 for when, _ in producer.sent] == [2.0, 4.0, 6.0, 12.0]
    assert report.greatest_delay_seconds == 2.0


def test_a_message_that_is_not_confirmed_is_listed() -> None:
    clock = Clock()
    report = replay(plan([0.0] * 5), Recorder(clock, refuse={b"1", b"3"}), clock=clock, wait=clock.wait)
    assert not report.succeeded
    assert (report.n_sent, report.n_confirmed) == (5, 3)
    assert [failure.message.key for failure in report.failures] == [b"1", b"3"]
    assert all("broker away" in failure.reason for failure in report.failures)


def test_a_broken_replay_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MICRO_BATCH_MESSAGES", 10)
    clock = Clock()
    report = replay(plan([0.0] * 100), Recorder(clock, refuse={b"12"}), clock=clock, wait=clock.wait)
    assert (report.n_sent, report.n_confirmed) == (20, 19)


def test_what_is_no_failed_delivery_is_raised() -> None:
    class Away(Recorder):
        def flush(self) -> Never:
            raise KafkaUnavailableError("nobody there")

    with pytest.raises(KafkaUnavailableError, match="nobody there"):
        replay(plan([0.0]), Away(Clock()))


def test_nothing_is_a_replay_too() -> None:
    report = replay([], Recorder(Clock()))
    assert (report.n_sent, report.succeeded) == (0, True)


def test_micro_batches_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MICRO_BATCH_MESSAGES", 3)
    assert [(micro_batch.begin, micro_batch.end) for micro_batch in micro_batches(plan([0.0] * 7), 10)] == [
        (10, 13),
        (13, 16),
        (16, 17),
    ]
    monkeypatch.setattr(runner, "MICRO_BATCH_BYTES", 8)
    assert [len(micro_batch.dues) for micro_batch in micro_batches(plan([0.0] * 5))] == [2, 2, 1]
    # At a slow pace a micro-batch ends with its time, so that little is in doubt after a kill.
    assert [len(micro_batch.dues) for micro_batch in micro_batches(plan([0.0, 5.0, 9.0, 20.0]))] == [2, 1, 1]
    assert list(micro_batches([])) == []


def test_dropped_messages_are_not_sent_but_confirmed() -> None:
    clock = Clock()
    told: list[tuple[str, int]] = []
    dues = plan([0.0, 1.0, 2.0])
    dues[1] = Due(1.0, Step(1, dues[1].step.message, 60_000.0, is_dropped=True))
    producer = Recorder(clock)
    report = replay(dues, producer, told, clock, clock.wait)
    assert [message.key for _, message in producer.sent] == [b"0", b"2"]
    assert (report.n_sent, told) == (2, [("before", 3), ("after", 3)])


def test_a_resumed_plan_is_due_from_now() -> None:
    clock = Clock()
    producer = Recorder(clock)
    told: list[tuple[str, int]] = []
    replay(plan([100.0, 101.0]), producer, told, clock, clock.wait, first_step=40)
    assert [when for when, _ in producer.sent] == [1000.0, 1001.0]
    assert told == [("before", 42), ("after", 42)]


def test_several_producers_share_by_key_and_keep_its_order() -> None:
    sent: list[list[OutputMessage]] = [[], [], []]

    class Keeper:
        def __init__(self, number) -> None:
            self.number = number

        def send(self, messages) -> None:
            sent[self.number] += messages

        def flush(self) -> None:
            """Everything is written."""

    dues = [Due(0.0, Step(i, OutputMessage("t", b"%d" % (i % 40), b"%d" % i), 60_000.0)) for i in range(100)]
    report = Replayer([Keeper(number) for number in range(3)]).run(dues)
    assert (report.n_sent, report.succeeded) == (100, True)
    assert all(sent)
    for key in {due.step.message.key for due in dues}:
        lanes = [lane for lane in sent if any(message.key == key for message in lane)]
        assert len(lanes) == 1
        values = [int(message.value or b"") for message in lanes[0] if message.key == key]
        assert values == sorted(values)


def test_messages_without_a_key_go_round() -> None:
    counts = []

    class Counter:
        def __init__(self) -> None:
            self.n_sent = 0
            counts.append(self)

        def send(self, messages) -> None:
            self.n_sent += len(messages)

        def flush(self) -> None:
            """Everything is written."""

    dues = [Due(0.0, Step(i, OutputMessage("t", None, b""), 60_000.0)) for i in range(10)]
    Replayer([Counter(), Counter()]).run(dues)
    assert [one.n_sent for one in counts] == [5, 5]
