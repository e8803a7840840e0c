"""A message source, a publisher and an APDB outbox that live in memory and fail on demand."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from stream_assoc.apdb.port import OutboxEntry
from stream_assoc.exceptions import RetriableError
from stream_assoc.model.batch import BatchRevision
from stream_assoc.model.changes import InputPosition
from stream_assoc.stream.messages import InputMessage, OutputMessage


def message(offset: int, value: bytes | None = b"payload", partition: int = 0) -> InputMessage:
    return InputMessage(InputPosition("dia-sources", partition, offset), timestamp_ms=0, key=b"k", value=value)


@dataclass
class FakeLog:
    """One topic's partitions, what the group has committed, and what was published."""

    messages: list[InputMessage]
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    published: list[OutputMessage] = field(default_factory=list)


class FakeSource:
    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.lost: set[int] = set()
        self.paused = False
        self.idled: list[float] = []
        self.on_empty = lambda: None
        self.max_poll_interval_seconds = 300.0
        self.on_revoke = lambda partitions: None
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

    def committed(self, partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {p: self.log.committed[p] for p in partitions if p in self.log.committed}

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

    def publish(self, messages: Sequence[OutputMessage], consumed: Sequence[InputPosition]) -> None:
        if self.failures:
            self.failures -= 1
            raise RetriableError("the broker is away")
        self.log.published.extend(messages)
        for position in consumed:
            partition = (position.topic, position.partition)
            self.log.committed[partition] = max(self.log.committed.get(partition, 0), position.offset + 1)

    def close(self) -> None: ...


class FakeOutbox:
    def __init__(self, entries: list[OutboxEntry] | None = None) -> None:
        self.entries = {entry.entry.key: entry for entry in entries or []}

    def unpublished(self) -> list[OutboxEntry]:
        return list(self.entries.values())

    def mark_published(self, keys: Sequence[BatchRevision]) -> None:
        for key in keys:
            self.entries.pop(key, None)
