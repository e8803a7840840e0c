"""The consumer loop: order of commits, retries, partitions that are taken away."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Never

import pytest

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.exceptions import FatalError
from stream_assoc.messaging.marks import Mark, Partition
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.pipeline.ports.outbox import WaitingEntry
from stream_assoc.service.daemon.daemon import Daemon, DaemonHooks, MicroBatchLimits, micro_batches
from stream_assoc.service.daemon.handler import Answer
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.outbox import Names, Outbox
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff, RetryLoop
from stream_assoc.service.instruments import Instruments
from stream_assoc.service.ports import StreamEnds
from stream_assoc.stores.cache.exceptions import CacheUnavailableError
from tests.service.daemon.fakes import FakeApdb, FakeLog, FakeOutputs, FakePublisher, FakeSource, message


class EchoHandler:
    """Answers each message with its own payload, after as many failures as asked."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or ApdbUnavailableError("the database is away")
        self.micro_batches: list[list[int]] = []
        self.on_finish: Callable[[], None] = lambda: None

    def finish(self, seconds: Mapping[str, float]) -> None:
        self.on_finish()

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        self.micro_batches.append([m.position.offset for m in messages])
        if self.failures:
            self.failures -= 1
            raise self.error
        return [
            Answer(
                m, [OutputMessage("out", m.key, m.value)], BatchRevision(m.position.offset, m.position.partition, 0)
            )
            for m in messages
        ]


def entry(visit: int, offset: int) -> tuple[WaitingEntry, list[OutputMessage]]:
    position = InputPosition("dia-sources", 0, offset)
    one = WaitingEntry(LedgerEntry(BatchId(visit, 0), b"digest", 60000.0, 1, 1, position))
    return one, [OutputMessage("out", b"k", b"outputs of %d" % visit)]


class Bench:
    """A daemon on fakes that stops once everything has been read."""

    def __init__(
        self,
        messages: list[InputMessage],
        handler: EchoHandler,
        failures: int = 0,
        outbox: Sequence[tuple[WaitingEntry, list[OutputMessage]]] = (),
        limits: MicroBatchLimits | None = None,
        hooks: DaemonHooks | None = None,
    ) -> None:
        self.stop = StopRequest(deadline_seconds=0.0)
        self.log = FakeLog(messages)
        self.source = FakeSource(self.log)
        self.source.on_empty = self.stop.set
        self.outbox = FakeApdb(outbox)
        self.instruments = Instruments()
        retry_loop = RetryLoop(self.source, Backoff(), self.stop, Health(self.instruments), MembershipKeeper())
        self.retry_loop = retry_loop
        ends = StreamEnds(self.source, FakePublisher(self.log, failures))
        self.daemon = Daemon(
            ends,
            handler,
            Outbox(ends, self.outbox, FakeOutputs(self.log), Names("apdb", "group")),
            retry_loop,
            limits or MicroBatchLimits(),
            hooks,
        )

    def run(self) -> FakeLog:
        self.daemon.run(self.stop)
        return self.log

    def shown(self, name: str, service: str = "apdb") -> float | None:
        """Return what Prometheus sees of a service."""
        return self.instruments.registry.get_sample_value(f"stream_assoc_{name}", {"service": service})


def failing(error: Exception) -> Callable[..., Never]:
    def fail(*_: object) -> Never:
        raise error

    return fail


def test_everything_is_published_in_order_and_committed() -> None:
    messages = [message(i, value=b"%d" % i) for i in range(40)]
    log = Bench(messages, EchoHandler()).run()
    assert [m.value for m in log.published] == [m.value for m in messages]
    assert log.committed == {("dia-sources", 0): 40}


def test_a_service_that_is_away_is_waited_for_while_polling_paused() -> None:
    bench = Bench([message(0), message(1)], EchoHandler(failures=3))
    log = bench.run()
    assert len(log.published) == 2
    assert bench.shown("retries_total") == 3
    assert bench.shown("service_up") == 1
    assert bench.source.idled == sorted(bench.source.idled), "each wait is longer than the one before"
    assert not bench.source.paused


@pytest.mark.parametrize("n_looks", [1, 2])
def test_an_apdb_that_has_lost_something_is_worked_on_no_more(n_looks: int) -> None:
    looks: list[list[Partition]] = []

    def look(partitions: Collection[Partition]) -> None:
        looks.append(list(partitions))
        if len(looks) == n_looks:
            raise FatalError("the APDB lacks a batch")

    handler = EchoHandler(failures=1)
    bench = Bench([message(0)], handler, outbox=[entry(7, 0)], hooks=DaemonHooks(before_work=look))
    with pytest.raises(FatalError, match="lacks a batch"):
        bench.run()
    # Before anything else, and again when the APDB was away.
    assert looks == [[("dia-sources", 0)]] * n_looks
    assert len(handler.micro_batches) == n_looks - 1
    assert [one.value for one in bench.log.published] == [b"outputs of 7"] * (n_looks - 1)


def test_an_apdb_that_has_lost_what_was_just_published_is_worked_on_no_more() -> None:
    looks = 0

    def look(_partitions: Collection[Partition]) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise FatalError("the APDB lacks a batch")

    handler = EchoHandler()
    limits = MicroBatchLimits(messages=1)
    bench = Bench([message(0), message(1)], handler, limits=limits, hooks=DaemonHooks(before_work=look))
    # The database is away when the outbox is to be cleared, and another one is there after it.
    bench.outbox.mark_published = failing(ApdbUnavailableError("the database is away"))  # type: ignore[method-assign]
    with pytest.raises(FatalError, match="lacks a batch"):
        bench.run()
    assert handler.micro_batches == [[0]]


def test_the_cache_is_written_once_subscribers_have_the_outputs() -> None:
    handler = EchoHandler()
    bench = Bench([message(0), message(1)], handler)
    seen: list[tuple[int, int]] = []
    handler.on_finish = lambda: seen.append((len(bench.log.published), len(bench.outbox.entries)))
    bench.run()
    assert seen == [(2, 0)]


def test_a_cache_that_cannot_be_written_holds_nothing_up() -> None:
    handler = EchoHandler()
    handler.on_finish = failing(CacheUnavailableError("the cache is away"))
    bench = Bench([message(0), message(1)], handler, limits=MicroBatchLimits(bytes=1))
    log = bench.run()
    assert log.committed == {("dia-sources", 0): 2}
    assert bench.source.idled == []
    assert bench.shown("retries_total", "cache") == 2
    assert bench.shown("service_up", "cache") == 0


def test_a_failed_publication_is_repeated_without_processing_again() -> None:
    handler = EchoHandler()
    log = Bench([message(0)], handler, failures=2).run()
    assert len(handler.micro_batches) == 1
    assert len(log.published) == 1


def test_messages_of_a_lost_partition_are_neither_published_nor_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = EchoHandler(failures=1)
    bench = Bench([message(0, partition=0), message(0, partition=1)], handler)
    monkeypatch.setattr(bench.source, "idle", lambda seconds: bench.source.lost.add(1))
    log = bench.run()
    assert log.committed == {("dia-sources", 0): 1}
    assert len(log.published) == 1
    assert not bench.source.paused


def test_messages_behind_an_abandoned_micro_batch_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = EchoHandler(failures=1)
    messages = [message(i, value=b"x" * 10, partition=i % 2) for i in range(4)]
    bench = Bench(messages, handler, limits=MicroBatchLimits(bytes=10))
    monkeypatch.setattr(bench.source, "idle", lambda seconds: bench.source.lost.add(0))
    log = bench.run()
    assert sorted(m.position.offset for m in messages if m.position.partition == 1) == [1, 3]
    assert log.committed == {("dia-sources", 1): 4}
    assert len(log.published) == 2


def test_the_outbox_is_cleared_before_an_abandoned_micro_batch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = EchoHandler(failures=1)
    bench = Bench([message(0, partition=0), message(0, partition=1)], handler)
    monkeypatch.setattr(bench.source, "idle", lambda seconds: bench.source.lost.add(1))
    events: list[str] = []
    answer = handler.answer

    def waiting() -> list[WaitingEntry]:
        events.append("outbox looked through")
        return []

    def noted(messages: Sequence[InputMessage]) -> list[Answer]:
        events.append(f"{len(messages)} in hand")
        return answer(messages)

    monkeypatch.setattr(bench.outbox, "waiting", waiting)
    monkeypatch.setattr(handler, "answer", noted)
    bench.run()
    assert events == ["outbox looked through", "2 in hand", "outbox looked through", "1 in hand"]


def test_a_stop_while_a_service_is_away_leaves_the_micro_batch_to_the_next_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench([message(0)], EchoHandler(failures=100))
    monkeypatch.setattr(bench.source, "idle", lambda seconds: bench.stop.set())
    log = bench.run()
    assert log.published == []
    assert log.committed == {}


def test_a_fatal_error_stops_the_daemon() -> None:
    with pytest.raises(FatalError, match="wrong schema"):
        Bench([message(0)], EchoHandler(failures=1, error=FatalError("wrong schema"))).run()


def test_a_start_clears_what_is_known_to_be_published_and_publishes_the_rest() -> None:
    bench = Bench([], EchoHandler(), outbox=[entry(1, offset=4), entry(2, offset=5)])
    bench.log.committed[("dia-sources", 0)] = 5
    bench.log.notes[("dia-sources", 0)] = f"name {Mark('apdb', (BatchRevision(1, 0, 0),)).write()}"
    log = bench.run()
    assert bench.outbox.entries == {}
    assert [one.value for one in log.published] == [b"outputs of 2"]
    assert log.committed == {("dia-sources", 0): 5}


ELSEWHERE = BatchRevision(99, 0, 0)


class FollowingHandler(EchoHandler):
    """Answers with batches that come after one of another daemon."""

    def answer(self, messages: Sequence[InputMessage]) -> list[Answer]:
        return [replace(one, predecessors=(ELSEWHERE,)) for one in super().answer(messages)]


def waiting_bench() -> Bench:
    """Return a daemon with a message whose batch comes after one of a partition that another daemon has."""
    bench = Bench([message(0)], FollowingHandler())
    bench.source.n_partitions = 2
    position = InputPosition("dia-sources", 1, 5)
    theirs = WaitingEntry(LedgerEntry(BatchId(99, 0), b"digest", 60000.0, 1, 1, position))
    bench.outbox.entries[ELSEWHERE] = (theirs, [OutputMessage("out", b"k", b"theirs")])
    return bench


def test_a_batch_is_published_when_others_have_published_what_comes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = waiting_bench()
    seen: list[tuple[int, int]] = []

    def publish_elsewhere(seconds: float, micro_batch: Sequence[InputPosition]) -> None:
        seen.append((len(bench.log.published), len(micro_batch)))
        bench.outbox.entries.pop(ELSEWHERE)

    monkeypatch.setattr(bench.retry_loop, "wait_for_others", publish_elsewhere)
    log = bench.run()
    assert seen == [(0, 1)]
    assert [one.value for one in log.published] == [b"payload"]
    assert log.committed == {("dia-sources", 0): 1}


def test_what_comes_before_is_published_by_who_waits_when_its_partition_comes_to_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = waiting_bench()

    def others_die(seconds: float, micro_batch: Sequence[InputPosition]) -> None:
        bench.source.partitions.add(1)

    monkeypatch.setattr(bench.retry_loop, "wait_for_others", others_die)
    log = bench.run()
    assert [one.value for one in log.published] == [b"theirs", b"payload"]
    assert bench.outbox.entries == {}
    # Its own message may still come: it is found in the ledger.
    assert log.committed == {("dia-sources", 0): 1, ("dia-sources", 1): 0}


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [([], 10, []), ([4, 4, 4], 10, [2, 1]), ([50, 1], 10, [1, 1]), ([1, 50], 10, [1, 1]), ([10, 10], 10, [1, 1])],
)
def test_micro_batches_respect_the_limit_and_keep_the_order(lengths, limit: int, expected) -> None:
    messages = [message(i, value=b"x" * length) for i, length in enumerate(lengths)]
    divided = list(micro_batches(messages, limit))
    assert [len(micro_batch) for micro_batch in divided] == expected
    assert [m for micro_batch in divided for m in micro_batch] == messages


def test_waits_double_up_to_the_longest_and_jitter_only_shortens() -> None:
    backoff = Backoff(initial_seconds=1.0, max_seconds=5.0, jitter=0.5)
    assert [backoff.wait_seconds(n, 0.0) for n in (1, 2, 3, 4, 50)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.wait_seconds(3, 0.999) >= 2.0
