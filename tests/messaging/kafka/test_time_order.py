"""A backlog comes in the order of time."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.kafka import time_order
from stream_assoc.messaging.kafka.time_order import TimeOrderedReader


def message(partition: int, offset: int, timestamp_ms: int) -> InputMessage:
    return InputMessage(InputPosition("topic", partition, offset), timestamp_ms, None, b"")


class Partitions:
    """Gives messages in the chunks it was made with; a partition is behind until its last one of the backlog."""

    def __init__(self, chunks: Sequence[Sequence[InputMessage]], later: Sequence[InputMessage] = ()) -> None:
        self.chunks = [list(chunk) for chunk in chunks]
        self.later = list(later)
        self.held: list[frozenset[int]] = []

    @property
    def behind(self) -> frozenset[int]:
        return frozenset(one.position.partition for chunk in self.chunks for one in chunk)

    @property
    def at_end(self) -> bool:
        return not self.chunks and not self.later

    def read(self, seconds: float) -> list[InputMessage]:
        if self.chunks:
            return self.chunks.pop(0)
        later, self.later = self.later, []
        return later

    def hold(self, partitions: frozenset[int]) -> None:
        self.held.append(partitions)


def all_of(reader: TimeOrderedReader) -> list[InputMessage]:
    given: list[InputMessage] = []
    while not reader.at_end:
        given += reader.read(0.0)
    return given


def test_two_partitions_come_in_the_order_of_time() -> None:
    chunks = [
        [message(0, 0, 10), message(0, 1, 30)],
        [message(1, 0, 20), message(0, 2, 50)],
        [message(1, 1, 40)],
    ]
    assert [one.timestamp_ms for one in all_of(TimeOrderedReader(Partitions(chunks)))] == [10, 20, 30, 40, 50]


def test_what_comes_later_is_given_as_it_arrives() -> None:
    later = [message(1, 1, 9), message(0, 1, 8)]
    reader = TimeOrderedReader(Partitions([[message(0, 0, 10)], [message(1, 0, 5)]], later))
    assert [one.timestamp_ms for one in all_of(reader)][:2] == [5, 10]
    assert reader.at_end


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=40),
    st.lists(st.integers(1, 5), min_size=40, max_size=40),
)
def test_every_message_comes_once_in_the_order_of_its_partition_and_of_time_where_partitions_have_one(
    placed: list[tuple[int, int]], sizes: list[int]
) -> None:
    # Producers' clocks may go back within a partition; there the order of the partition stays.
    offsets = [
        sum(1 for other, _ in placed[:place] if other == partition) for place, (partition, _) in enumerate(placed)
    ]
    messages = [message(partition, offset, at) for (partition, at), offset in zip(placed, offsets, strict=True)]
    chunks, rest = [], list(messages)
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    given_ = all_of(TimeOrderedReader(Partitions([chunk for chunk in chunks if chunk])))
    assert sorted(given_, key=lambda one: one.position.partition) == sorted(
        messages, key=lambda one: one.position.partition
    )
    if all(
        [one.timestamp_ms for one in messages if one.position.partition == partition]
        == sorted(one.timestamp_ms for one in messages if one.position.partition == partition)
        for partition in range(4)
    ):
        times = [one.timestamp_ms for one in given_]
        assert times == sorted(times)


def test_a_partition_that_is_far_ahead_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_order, "MOST_WAITING", 2)
    source = Partitions([[message(0, offset, offset) for offset in range(3)], [message(1, 0, 100)]])
    reader = TimeOrderedReader(source)
    assert len(all_of(reader)) == 4
    assert source.held == [frozenset({0}), frozenset()]


def test_who_does_not_wait_longer_gets_the_rest() -> None:
    reader = TimeOrderedReader(Partitions([[message(0, 0, 1)], [], [message(1, 0, 0)]]))
    assert reader.read(0.0) == []
    assert [one.position.partition for one in reader.rest()] == [0]
