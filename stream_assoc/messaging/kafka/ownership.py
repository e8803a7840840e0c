"""Which of the messages that were read are still ours to commit."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.kafka.errors import PartitionLostError
from stream_assoc.messaging.marks import KeptOffset, Partition


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member of the group says is done.

    Attributes
    ----------
    offsets : `dict` [`tuple` [`str`, `int`], `int`]
        The next message to read, of each partition, whether it has moved or not.
    member : `object`
        Who says so, in the words of the client library.
    notes : `Mapping` [`tuple` [`str`, `int`], `str`]
        What is kept beside the offset of each partition.
    epochs : `Mapping` [`tuple` [`str`, `int`], `int`]
        The leader epoch of the message before the offset of each partition.
    """

    offsets: dict[Partition, int]
    member: object
    notes: Mapping[Partition, str] = field(default_factory=dict)
    epochs: Mapping[Partition, int] = field(default_factory=dict)


class Ownership:
    """Owned partitions, and the run of offsets each has delivered since it was assigned.

    The run matters: a partition that was lost and came back may have been
    worked on by someone else meanwhile, so what was read before is not ours.

    Thread-safe: partitions come and go in the thread that polls.
    """

    def __init__(self) -> None:
        self._runs: dict[Partition, range] = {}
        self._assignments: dict[Partition, int] = {}
        self._n_assignments = 0
        self._mutex = threading.Lock()

    @property
    def partitions(self) -> frozenset[Partition]:
        """The owned partitions."""
        with self._mutex:
            return frozenset(self._runs)

    @property
    def assignments(self) -> dict[Partition, int]:
        """The owned partitions, each with a number that it has never had before."""
        with self._mutex:
            return dict(self._assignments)

    def gain(self, partitions: Iterable[Partition]) -> None:
        """Own these too; nothing of them has been delivered yet."""
        with self._mutex:
            for partition in partitions:
                self._runs[partition] = range(0)
                self._n_assignments += 1
                self._assignments[partition] = self._n_assignments

    def lose(self, partitions: Iterable[Partition]) -> None:
        """Own these no longer."""
        with self._mutex:
            for partition in partitions:
                self._runs.pop(partition, None)
                self._assignments.pop(partition, None)

    def deliver(self, position: InputPosition) -> None:
        """Note that this message is handed out, if its partition is owned."""
        partition = partition_of(position)
        with self._mutex:
            run = self._runs.get(partition)
            if run is not None:
                begin = min(run.start, position.offset) if run else position.offset
                self._runs[partition] = range(begin, position.offset + 1)

    def rewind(self, position: InputPosition) -> None:
        """Note that this and later messages of the partition will be handed out again, if it is owned."""
        partition = partition_of(position)
        with self._mutex:
            run = self._runs.get(partition)
            if run is not None:
                self._runs[partition] = range(run.start, max(run.start, min(run.stop, position.offset)))

    def holds(self, position: InputPosition) -> bool:
        """Tell whether this message was handed out under the current assignment."""
        with self._mutex:
            return position.offset in self._runs.get(partition_of(position), range(0))

    def offsets_after(
        self, consumed: Sequence[InputPosition], kept: Mapping[Partition, KeptOffset] = MappingProxyType({})
    ) -> dict[Partition, int]:
        """Return, for each partition, the offset that says: all of these are done.

        Parameters
        ----------
        consumed : `Sequence` [`InputPosition`]
            What is done.
        kept : `Mapping`
            Partitions whose offset stays where it is unless more of them is consumed.

        Raises
        ------
        PartitionLostError
            If any of them is not ours any more.
        """
        lost = [position for position in consumed if not self.holds(position)]
        assignments = self.assignments
        lost += [
            InputPosition(*partition, one.offset)
            for partition, one in kept.items()
            if assignments.get(partition) != one.assignment
        ]
        if lost:
            raise PartitionLostError(lost)
        offsets = {partition: one.offset for partition, one in kept.items()}
        for position in consumed:
            partition = partition_of(position)
            offsets[partition] = max(offsets.get(partition, 0), position.offset + 1)
        return offsets


def partition_of(position: InputPosition) -> Partition:
    """Return the partition of a position."""
    return position.topic, position.partition


def earliest_of(positions: Collection[InputPosition]) -> list[InputPosition]:
    """Return the earliest position of each partition."""
    earliest: dict[Partition, InputPosition] = {}
    for position in positions:
        known = earliest.get(partition_of(position), position)
        earliest[partition_of(position)] = min(known, position, key=lambda one: one.offset)
    return list(earliest.values())
