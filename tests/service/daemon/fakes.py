"""A message source, a publisher and an APDB outbox that live in memory and fail on demand."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.marks import NO_MARKS, Marks, Partition, PartitionsHook, Standing
from stream_assoc.messaging.outbox_format import pack_outputs
from stream_assoc.pipeline.ports.outbox import OutboxEntry, WaitingEntry


def message(offset: int, value: bytes | None = b"payload", partition: int = 0) -> InputMessage:
    return InputMessage(InputPosition("dia-sources", partition, offset), timestamp_ms=0, key=b"k", value=value)


@dataclass
class FakeLog:
    """One topic's partitions, what the group has committed, and what was published."""

    messages: list[InputMessage]
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    notes: dict[tuple[str, int], str] = field(default_factory=dict)
    published: list[OutputMessage] = field(default_factory=list)


class FakeSource:
    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.lost: set[int] = set()
        self.partitions = {message.position.partition for message in log.messages} or {0}
        self.n_partitions = max(self.partitions) + 1
        self.n_assignments = 1
        self.paused = False
        self.idled: list[float] = []
        self.on_empty = lambda: None
        self.max_poll_interval_seconds = 300.0
        self.on_revoke: PartitionsHook = lambda partitions: None
        self._next = {
            p: log.committed.get(("dia-sources", p), 0) for p in {m.position.partition for m in log.messages}
        }

    def poll(self, max_messages: int, timeout_seconds: float) -> list[InputMessage]:
        ready = [
            m
            for m in self.log.messages
            if self.owns(m.position) and m.position.offset >= self._next[m.position.partition]
        ]
        taken = ready[:max_messages]
        for m in taken:
            self._next[m.position.partition] = m.position.offset + 1
        if not taken:
            self.on_empty()
        return taken

    def idle(self, seconds: float) -> None:
        assert self.paused, "idling without a pause would lose messages"
        self.idled.append(seconds)

    def owns(self, position: InputPosition) -> bool:
        return position.partition not in self.lost

    @property
    def assignments(self) -> dict[Partition, int]:
        return {("dia-sources", p): self.n_assignments for p in self.partitions if p not in self.lost}

    def standings(self, partitions: Collection[Partition]) -> dict[Partition, Standing]:
        return {
            p: Standing(self.log.committed[p], self.log.notes.get(p, ""))
            for p in partitions
            if p in self.log.committed
        }

    def beginning(self, partition: Partition) -> int:
        return 0

    def existing(self) -> dict[str, int]:
        return {"dia-sources": self.n_partitions}

    def rewind(self, positions: Sequence[InputPosition]) -> None:
        for position in positions:
            self._next[position.partition] = min(self._next[position.partition], position.offset)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self) -> None: ...


class FakePublisher:
    def __init__(self, log: FakeLog, failures: int = 0) -> None:
        self.log = log
        self.failures = failures

    def publish(
        self, messages: Sequence[OutputMessage], consumed: Sequence[InputPosition], marks: Marks = NO_MARKS
    ) -> None:
        if self.failures:
            self.failures -= 1
            raise RetriableError("the broker is away")
        self.log.published.extend(messages)
        self.log.notes |= {partition: f"name {text}" for partition, text in marks.texts.items()}
        for partition, kept in marks.kept.items():
            self.log.committed[partition] = max(self.log.committed.get(partition, 0), kept.offset)
        for position in consumed:
            partition = (position.topic, position.partition)
            self.log.committed[partition] = max(self.log.committed.get(partition, 0), position.offset + 1)

    def close(self) -> None: ...


class FakeOutputs:
    """Finds what was published in the log itself; ``readers`` are the partitions of other topics somebody reads."""

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.readers: set[tuple[str, Partition]] = set()
        self.n_looks = 0

    def published(self, messages: Collection[OutputMessage]) -> frozenset[OutputMessage]:
        self.n_looks += 1
        return frozenset(messages) & frozenset(self.log.published)

    def is_read(self, group: str, partition: Partition) -> bool:
        return (group, partition) in self.readers


class FakeApdb:
    """The outbox of an APDB."""

    def __init__(self, entries: Sequence[tuple[WaitingEntry, list[OutputMessage]]] = ()) -> None:
        self.entries = {one.entry.key: (one, outputs) for one, outputs in entries}
        self.has_adopter = False

    def waiting(self) -> list[WaitingEntry]:
        return [one for one, _ in self.entries.values()]

    def unpublished(self) -> list[OutboxEntry]:
        return [
            OutboxEntry(one.entry, pack_outputs(outputs), one.predecessors) for one, outputs in self.entries.values()
        ]

    def still_waiting(self, keys: Collection[BatchRevision]) -> frozenset[BatchRevision]:
        return frozenset(keys) & self.entries.keys()

    def outbox_entry(self, key: BatchRevision) -> OutboxEntry | None:
        if key not in self.entries:
            return None
        one, outputs = self.entries[key]
        return OutboxEntry(one.entry, pack_outputs(outputs), one.predecessors)

    @contextlib.contextmanager
    def sole_adopter(self) -> Iterator[bool]:
        yield not self.has_adopter

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        for key in keys:
            self.entries.pop(key, None)
