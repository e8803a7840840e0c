"""Under which leader each message was read, so that Kafka can tell whether the partition still holds it.

A broker that is elected although it lacks messages (an unclean election), or that has lost the end of its log,
leads under a new epoch, and soon has other messages at the same offsets. An offset does not show this. Kafka knows
where each epoch ended, so an offset with the epoch of the message before it does (KIP-320): the client library asks
when it is told to read from there, and reports that there is nothing to be read next.
"""

from typing import Final

from stream_assoc.messaging.marks import Partition

NO_EPOCH: Final = -1
"""In the words of the client library; also what brokers say that know no epochs."""


class LeaderEpochs:
    """The leader epochs of the messages that were read of each partition, by offset."""

    def __init__(self) -> None:
        # Each epoch with the first offset it is known of; they change seldom.
        self._steps: dict[Partition, list[tuple[int, int]]] = {}

    def begin(self, partition: Partition, offset: int = 0, epoch: int | None = None) -> None:
        """Forget what was read of a partition; the message before this offset had this epoch."""
        self._steps[partition] = []
        self.note(partition, offset - 1, epoch)

    def note(self, partition: Partition, offset: int, epoch: int | None) -> None:
        """Note the epoch of a message, if it has any; those behind it are read again."""
        known = NO_EPOCH if epoch is None else epoch
        steps = [step for step in self._steps.get(partition, ()) if step[0] < offset]
        if not steps or steps[-1][1] != known:
            steps.append((offset, known))
        self._steps[partition] = steps

    def before(self, partition: Partition, offset: int) -> int:
        """Return the epoch of the last message before this offset that was read, or `NO_EPOCH`.

        Examples
        --------
        >>> epochs = LeaderEpochs()
        >>> epochs.begin(("visits", 0), offset=10, epoch=3)
        >>> epochs.note(("visits", 0), offset=10, epoch=5)
        >>> [epochs.before(("visits", 0), offset) for offset in (9, 10, 11)]
        [-1, 3, 5]
        """
        return next((epoch for first, epoch in reversed(self._steps.get(partition, ())) if first < offset), NO_EPOCH)
