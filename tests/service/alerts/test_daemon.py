"""The loop that makes alerts: what is published together, tried again, counted, and left to another member."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, PlacedMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.service.alerts.daemon import AlertDaemon, AlertLimits
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.alerts.maker import MadeAlerts
from stream_assoc.service.alerts.ports import AlertEnds
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff, RetryLoop
from tests.service.daemon.fakes import FakeLog, FakeSource, message


@dataclass
class EchoMaker:
    """Makes one alert of each message, whose value is the message's; fails so many times before."""

    failures: int = 0
    before: Callable[[InputMessage], None] = lambda told: None

    def make(self, told: InputMessage) -> MadeAlerts:
        self.before(told)
        if self.failures:
            self.failures -= 1
            raise RetriableError("the APDB is away")
        if told.value is None:
            return MadeAlerts("undecodable")
        return MadeAlerts("published", (PlacedMessage("alerts", 0, told.value),), midpointMjdTai=60000.0)


@dataclass
class Transactions:
    """What is published together."""

    log: FakeLog
    failures: int = 0
    values: list[list[bytes]] = field(default_factory=list)

    def publish(self, messages: Sequence[PlacedMessage], consumed: Sequence[InputPosition]) -> None:
        if self.failures:
            self.failures -= 1
            raise RetriableError("the broker is away")
        self.values.append([one.value for one in messages])
        for position in consumed:
            self.log.committed[position.topic, position.partition] = position.offset + 1


class Bench:
    """A daemon on fakes that stops once everything has been read."""

    def __init__(
        self,
        messages: list[InputMessage],
        maker: EchoMaker | None = None,
        failures: int = 0,
        limits: AlertLimits | None = None,
    ) -> None:
        self.stop, self.log = StopRequest(deadline_seconds=0.0), FakeLog(messages)
        self.source = FakeSource(self.log)
        self.source.on_empty = self.stop.set
        self.published = Transactions(self.log, failures)
        self.instruments = AlertInstruments()
        retry_loop = RetryLoop(self.source, Backoff(), self.stop, Health(self.instruments), MembershipKeeper())
        ends = AlertEnds(self.source, self.published)
        self.daemon = AlertDaemon(ends, maker or EchoMaker(), retry_loop, limits or AlertLimits(), self.instruments)

    def run(self) -> list[list[bytes]]:
        self.daemon.run(self.stop)
        return self.published.values

    def count(self, outcome: str) -> float | None:
        return self.instruments.registry.get_sample_value("stream_assoc_alert_batches_total", {"outcome": outcome})


def numbered(n: int) -> list[InputMessage]:
    return [message(offset, b"%d" % offset) for offset in range(n)]


def test_alerts_come_in_the_order_of_their_messages_with_their_offsets() -> None:
    bench = Bench(numbered(5))
    assert bench.run() == [[b"0", b"1", b"2", b"3", b"4"]]
    assert bench.log.committed == {("dia-sources", 0): 5}
    assert bench.count("published") == 5
    assert bench.instruments.registry.get_sample_value("stream_assoc_alerts_total") == 5


def test_a_transaction_ends_with_the_batch_that_fills_it() -> None:
    assert Bench(numbered(5), limits=AlertLimits(bytes=2)).run() == [[b"0", b"1"], [b"2", b"3"], [b"4"]]


def test_what_gets_no_alerts_is_committed_and_counted() -> None:
    bench = Bench([message(0, b"0"), message(1, None)])
    assert bench.run() == [[b"0"]]
    assert bench.log.committed == {("dia-sources", 0): 2}
    assert (bench.count("published"), bench.count("undecodable")) == (1, 1)


def test_failures_are_tried_again_and_counted_once() -> None:
    bench = Bench(numbered(3), EchoMaker(failures=2), failures=2)
    assert bench.run() == [[b"0", b"1", b"2"]]
    assert bench.count("published") == 3
    assert len(bench.source.idled) == 4


def test_a_member_that_has_lost_its_partition_publishes_nothing_more() -> None:
    bench = Bench(numbered(3))
    maker = EchoMaker(failures=1, before=lambda told: bench.source.lost.add(0))
    bench = Bench(numbered(3), maker)
    assert bench.run() == []
    assert bench.log.committed == {}


def test_what_is_not_done_when_a_partition_goes_is_read_again_if_it_comes_back() -> None:
    lost_at: list[int] = []

    def lose_once(told: InputMessage) -> None:
        if told.position.offset == 1 and not lost_at:
            lost_at.append(1)
            bench.source.lost.add(0)
            raise RetriableError("meanwhile")

    def come_back() -> None:
        if bench.source.lost:
            bench.source.lost.clear()
            bench.source.rewind([message(0).position])
        else:
            bench.stop.set()

    bench = Bench(numbered(3), EchoMaker(before=lose_once))
    bench.source.on_empty = come_back
    assert bench.run() == [[b"0", b"1", b"2"]]
    assert bench.count("published") == 3
