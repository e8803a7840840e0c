"""The lag in messages is asked now and then, the lag in seconds is true at every scrape."""

from dataclasses import replace

import pytest

from stream_assoc.exceptions import RetriableError
from stream_assoc.service.daemon.lag import REPORT_SECONDS, LagReporter
from stream_assoc.service.instruments import Instruments
from tests.service.daemon.fakes import message


class Lagging:
    def __init__(self) -> None:
        self.lags = {("dia-sources", 0): 7}
        self.error: RetriableError | None = None

    def lag(self):
        if self.error is not None:
            raise self.error
        return self.lags


class Bench:
    def __init__(self) -> None:
        self.source, self.instruments = Lagging(), Instruments()
        self.now, self.unix = 0.0, 1_000_000.0
        self.reporter = LagReporter(self.source, self.instruments, lambda: self.now, lambda: self.unix)

    def shown(self, partition: int) -> float | None:
        labels = {"topic": "dia-sources", "partition": str(partition)}
        return self.instruments.registry.get_sample_value("stream_assoc_lag_messages", labels)

    def seconds(self) -> float | None:
        return self.instruments.registry.get_sample_value("stream_assoc_lag_seconds")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_messages_are_reported_when_it_is_time(bench: Bench) -> None:
    bench.reporter([])
    assert bench.shown(0) == 7
    bench.source.lags = {("dia-sources", 1): 3}
    bench.reporter([])
    assert bench.shown(0) == 7
    bench.now += REPORT_SECONDS
    bench.reporter([])
    assert (bench.shown(0), bench.shown(1)) == (None, 3)


def test_what_is_not_known_yet_is_asked_again_at_the_next_poll(bench: Bench) -> None:
    known, bench.source.lags = bench.source.lags, {}
    bench.reporter([])
    assert bench.shown(0) is None
    bench.source.lags = known
    bench.reporter([])
    assert bench.shown(0) == 7


def test_a_broker_that_is_away_leaves_what_was_known(bench: Bench) -> None:
    bench.reporter([])
    bench.source.error = RetriableError("away")
    bench.now += REPORT_SECONDS
    bench.reporter([])
    assert bench.shown(0) == 7


def test_seconds_grow_while_messages_are_in_hand(bench: Bench) -> None:
    assert bench.seconds() == 0
    bench.reporter([replace(message(i), timestamp_ms=999_000_000 + i) for i in (5, 0, 9)])
    assert bench.seconds() == 1000
    bench.unix += 60
    assert bench.seconds() == 1060
    bench.reporter([])
    assert bench.seconds() == 0


def test_a_message_without_a_time_has_no_age(bench: Bench) -> None:
    bench.reporter([replace(message(0), timestamp_ms=-1)])
    assert bench.seconds() == 0


def test_a_message_from_the_future_waits_no_time(bench: Bench) -> None:
    bench.reporter([replace(message(0), timestamp_ms=2_000_000_000_000)])
    assert bench.seconds() == 0
