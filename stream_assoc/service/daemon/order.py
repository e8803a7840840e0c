"""Which answers of a micro-batch may be published now, and how far the offsets may follow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.marks import MOST_NAMED, Partition
from stream_assoc.service.daemon.handler import Answer


def in_order(
    waiting: Mapping[BatchRevision, Sequence[BatchRevision]], unpublished: Collection[BatchRevision]
) -> list[BatchRevision]:
    """Return those of some batches that may be published, each behind its predecessors.

    Parameters
    ----------
    waiting : `Mapping`
        The predecessors of each batch.
    unpublished : `Collection` [`BatchRevision`]
        Other batches that subscribers do not have yet.

    Examples
    --------
    >>> a, b, c = (BatchRevision(visit, 0, 0) for visit in (1, 2, 3))
    >>> [key.visit for key in in_order({b: [a], a: []}, [])]
    [1, 2]
    >>> in_order({b: [a, c], a: [c]}, [c])
    []
    """
    blocking = {*unpublished, *waiting}
    chosen: list[BatchRevision] = []
    n_before = -1
    while n_before < len(chosen):
        n_before = len(chosen)
        for key, predecessors in waiting.items():
            if key in blocking and key not in unpublished and not blocking.intersection(predecessors):
                chosen.append(key)
                blocking.discard(key)
    return chosen


@dataclass(frozen=True, slots=True)
class Step:
    """What of a micro-batch is published by one transaction.

    Attributes
    ----------
    batches : `list` [`Answer`]
        Batches whose outputs are published, each behind its predecessors.
    others : `list` [`Answer`]
        Answers that nothing waits for, such as dead letters: each is published
        with the offset of its message.
    consumed : `list` [`InputPosition`]
        Messages that are done.
    """

    batches: list[Answer] = field(default_factory=list)
    others: list[Answer] = field(default_factory=list)
    consumed: list[InputPosition] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.batches or self.consumed)

    @property
    def keys(self) -> list[BatchRevision]:
        """The batches that are published."""
        return [answer.batch for answer in self.batches if answer.batch is not None]


class PendingAnswers:
    """The answers to some messages, until all of them are published.

    A batch is published when its predecessors have been, whatever its place in
    the micro-batch: two daemons that published whole micro-batches could wait for each other.
    The offset of a partition moves past a message when all of the partition up
    to it is published.

    Parameters
    ----------
    answers : `Sequence` [`Answer`]
        In the order of the messages.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._left = list(answers)
        self._published: set[BatchRevision] = set()

    def __bool__(self) -> bool:
        return bool(self._left)

    @property
    def positions(self) -> list[InputPosition]:
        """The messages that are not done."""
        return [answer.message.position for answer in self._left]

    @property
    def keys(self) -> frozenset[BatchRevision]:
        """The batches that are not published."""
        return frozenset(answer.batch for answer in self._left if answer.batch is not None) - self._published

    @property
    def awaited(self) -> frozenset[BatchRevision]:
        """The batches that others have to publish before all of these can be."""
        keys = self.keys
        waiting = [answer for answer in self._left if answer.batch in keys]
        return frozenset(key for answer in waiting for key in answer.predecessors) - keys - self._published

    def next_step(self, unpublished: Collection[BatchRevision]) -> Step:
        """Return what may be published while these batches of others are not; an empty step if nothing may be."""
        keys = self.keys
        waiting = {
            answer.batch: answer.predecessors
            for answer in self._left
            if answer.batch is not None and answer.batch in keys
        }
        chosen = in_order(waiting, unpublished)[:MOST_NAMED]
        batches = {answer.batch: answer for answer in self._left}
        others, consumed = self._carried(self._published.union(chosen))
        return Step([batches[key] for key in chosen], others, consumed)

    def done(self, step: Step) -> None:
        """Note that a step is published."""
        self._published.update(step.keys)
        consumed = set(step.consumed)
        self._left = [answer for answer in self._left if answer.message.position not in consumed]

    def _carried(self, published: Collection[BatchRevision]) -> tuple[list[Answer], list[InputPosition]]:
        stopped: set[Partition] = set()
        others: list[Answer] = []
        consumed: list[InputPosition] = []
        for answer in self._left:
            position = answer.message.position
            partition = (position.topic, position.partition)
            if answer.batch is not None and answer.batch not in published:
                stopped.add(partition)
            elif partition not in stopped:
                consumed.append(position)
                if answer.batch is None:
                    others.append(answer)
        return others, consumed
