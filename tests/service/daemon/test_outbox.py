"""What waits in the outbox: proven by marks and by the outputs, published by its owner, adopted where it has none."""

from collections.abc import Sequence

import pytest

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError, PartitionLostError
from stream_assoc.messaging.marks import Mark, Marks
from stream_assoc.pipeline.ports.outbox import WaitingEntry
from stream_assoc.service.daemon.outbox import ADOPT_SECONDS, LOOK_SECONDS, Names, Outbox
from stream_assoc.service.ports import StreamEnds
from tests.service.daemon.fakes import FakeApdb, FakeLog, FakeOutputs, FakePublisher, FakeSource

HERE = ("dia-sources", 0)


def key(visit: int) -> BatchRevision:
    return BatchRevision(visit, 0, 0)


def outputs_of(visit: int) -> list[OutputMessage]:
    return [OutputMessage("out", b"k", b"outputs of %d" % visit)]


def entry(
    visit: int,
    partition: int | None = 0,
    *,
    topic: str = "dia-sources",
    after: Sequence[int] = (),
    group: str | None = "group",
) -> tuple[WaitingEntry, list[OutputMessage]]:
    position = None if partition is None else InputPosition(topic, partition, visit)
    ledger = LedgerEntry(BatchId(visit, 0), b"digest", 60000.0, 1, 1, position)
    return WaitingEntry(ledger, tuple(map(key, after)), group), outputs_of(visit)


class Bench:
    """An outbox on fakes, of a daemon that owns partition 0 of two."""

    def __init__(self, *entries: tuple[WaitingEntry, list[OutputMessage]]) -> None:
        self.log = FakeLog([])
        self.source = FakeSource(self.log)
        self.source.n_partitions = 2
        self.publisher = FakePublisher(self.log)
        self.apdb = FakeApdb(entries)
        self.outputs = FakeOutputs(self.log)
        self.counts: list[tuple[str, int]] = []
        self.now = 1000.0
        self.outbox = Outbox(
            StreamEnds(self.source, self.publisher),
            self.apdb,
            self.outputs,
            Names("apdb", "group"),
            lambda how, count: self.counts.append((how, count)),
            lambda: self.now,
        )

    def commit(self, offset: int, *names: int, identity: str = "apdb") -> None:
        self.log.committed[HERE] = offset
        self.log.notes[HERE] = f"name {Mark(identity, tuple(map(key, names))).write()}"

    def settle_twice(self) -> None:
        """Settle, and again when what seems to be nobody's has waited long enough."""
        self.outbox.settle()
        self.now += ADOPT_SECONDS
        self.outbox.settle()

    @property
    def published(self) -> list[bytes | None]:
        return [one.value for one in self.log.published]

    @property
    def left(self) -> list[int]:
        return [one.visit for one in self.apdb.entries]


@pytest.mark.rules("MarkIsRead", "SettleFirst")
def test_what_the_mark_names_is_cleared_and_the_rest_published_wherever_the_offset_is() -> None:
    bench = Bench(entry(1), entry(2), entry(3))
    bench.commit(1000, 2)
    bench.outbox.settle()
    assert bench.published == [b"outputs of 1", b"outputs of 3"]
    assert bench.left == []
    assert bench.log.committed == {HERE: 1000}
    assert Mark.read(bench.log.notes[HERE]) == Mark("apdb", (key(1), key(3)))
    assert bench.counts == [("proven", 1), ("published", 2)]
    assert bench.outputs.n_looks == 0


@pytest.mark.parametrize("note", ["", "moved by hand", f"name {Mark('another', (key(1), key(2))).write()}"])
def test_without_a_mark_of_this_apdb_the_outputs_tell(note: str) -> None:
    bench = Bench(entry(1), entry(2))
    bench.commit(1000)
    bench.log.notes[HERE] = note
    bench.log.published += outputs_of(1)
    bench.outbox.settle()
    assert bench.published == [b"outputs of 1", b"outputs of 2"]
    assert bench.left == []
    assert bench.counts == [("proven", 1), ("published", 1)]


def test_a_group_without_an_offset_gets_that_of_the_oldest_message() -> None:
    bench = Bench(entry(5))
    bench.source.beginning = lambda partition: 3  # type: ignore[method-assign]
    bench.outbox.settle()
    assert bench.log.committed == {HERE: 3}
    assert bench.published == [b"outputs of 5"]


@pytest.mark.rules("OwnerPublishes", "PublishedPerBatch")
def test_what_others_own_or_have_in_hand_is_left_alone() -> None:
    bench = Bench(entry(1, partition=1), entry(2))
    bench.outbox.settle(in_hand={key(2)})
    bench.settle_twice()
    assert bench.left == [1]
    assert bench.published == [b"outputs of 2"]


@pytest.mark.rules("PredecessorFirst")
def test_an_entry_waits_for_its_predecessors() -> None:
    bench = Bench(entry(1, partition=1), entry(2, after=[1]), entry(3, after=[2]), entry(4))
    bench.commit(0)
    bench.outbox.settle()
    assert bench.published == [b"outputs of 4"]
    del bench.apdb.entries[key(1)]
    bench.outbox.settle()
    assert bench.published == [b"outputs of 4", b"outputs of 2", b"outputs of 3"]
    assert bench.left == []


@pytest.mark.parametrize("one", [entry(1, partition=2), entry(1, topic="old-name"), entry(1, partition=None)])
def test_what_is_nobody_s_is_adopted_after_a_while(one: tuple[WaitingEntry, list[OutputMessage]]) -> None:
    bench = Bench(one)
    bench.commit(7)
    bench.outbox.settle()
    assert bench.published == []
    bench.now += ADOPT_SECONDS
    bench.outbox.settle()
    assert bench.published == [b"outputs of 1"]
    assert bench.left == []
    assert bench.log.committed == {HERE: 7}
    assert bench.outputs.n_looks == 1


def test_what_an_adopter_that_died_had_published_is_not_published_again() -> None:
    bench = Bench(entry(1, partition=None))
    bench.log.published += outputs_of(1)
    bench.settle_twice()
    assert bench.published == [b"outputs of 1"]
    assert bench.left == []


def test_one_daemon_adopts() -> None:
    for bench in (Bench(entry(1, partition=None)), Bench(entry(1, partition=None))):
        bench.source.partitions = {1}
        bench.settle_twice()
        assert bench.left == [1]
    other_group = Bench(entry(1, partition=None))
    other_group.apdb.has_adopter = True
    other_group.settle_twice()
    assert other_group.left == [1]


def test_another_group_that_reads_its_topic_keeps_its_entries() -> None:
    bench = Bench(entry(1, topic="elsewhere", group="others"))
    bench.outputs.readers.add(("others", ("elsewhere", 0)))
    bench.settle_twice()
    assert bench.left == [1]
    bench.outputs.readers.clear()
    bench.settle_twice()
    assert bench.published == [b"outputs of 1"]


def test_where_kafka_does_not_tell_who_reads_a_topic_its_entries_are_left_alone() -> None:
    bench = Bench(entry(1, topic="elsewhere"))

    def silent(group: str, partition: tuple[str, int]) -> bool:
        raise KafkaUnavailableError("not authorized to describe groups")

    bench.outputs.is_read = silent  # type: ignore[method-assign]
    bench.settle_twice()
    assert bench.left == [1]


def test_a_transaction_that_came_through_unheard_is_found_by_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(entry(1))
    bench.commit(0)
    publish = bench.publisher.publish

    def unheard(messages: Sequence[OutputMessage], consumed: Sequence[InputPosition], marks: Marks) -> None:
        publish(messages, consumed, marks)
        raise RetriableError("no answer")

    monkeypatch.setattr(bench.publisher, "publish", unheard)
    with pytest.raises(RetriableError):
        bench.outbox.settle()
    bench.outbox.settle()
    assert bench.published == [b"outputs of 1"]
    assert bench.left == []


def is_due(bench: Bench) -> bool:
    return bench.outbox.is_due


def test_it_is_looked_through_when_partitions_come_and_now_and_then() -> None:
    bench = Bench()
    assert is_due(bench)
    bench.outbox.settle()
    assert not is_due(bench)
    bench.source.n_assignments += 1
    assert is_due(bench)
    bench.outbox.settle()
    bench.now += LOOK_SECONDS
    assert is_due(bench)
    bench.outbox.settle()
    bench.outbox.forget()
    assert is_due(bench)
    bench.source.lost = {0}
    assert not is_due(bench)


@pytest.mark.rules("PublishedAfterKafka")
def test_a_partition_that_goes_meanwhile_is_left_to_its_new_owner_and_settled_anew_when_it_returns() -> None:
    bench = Bench(entry(1))

    def refused(messages: Sequence[OutputMessage], consumed: Sequence[InputPosition], marks: Marks) -> None:
        raise PartitionLostError([InputPosition(*HERE, 0)])

    bench.publisher.publish = refused  # type: ignore[method-assign,assignment]
    bench.outbox.settle()
    assert bench.left == [1]
    assert is_due(bench)
