"""What the daemon needs of the messaging system, as protocols that the Kafka adapters satisfy."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.messaging.marks import NO_MARKS, Marks, Partition, Standing


class MessageSource(Protocol):
    """Where input messages come from.

    While one thread works on what it has polled, another may pause, idle and
    resume.

    Attributes
    ----------
    max_poll_interval_seconds : `float`
        A member that neither polls nor idles for so long is expelled from the group.
    """

    max_poll_interval_seconds: float

    def poll(self, max_messages: int, timeout_seconds: float) -> list[InputMessage]:
        """Return up to ``max_messages`` messages, waiting at most that long for the first."""

    def idle(self, seconds: float) -> None:
        """Spend this time keeping the group membership alive; call it while paused.

        May return early when partitions were taken away.
        """

    def owns(self, position: InputPosition) -> bool:
        """Tell whether the partition of this position is still assigned here."""

    @property
    def assignments(self) -> dict[Partition, int]:
        """The partitions assigned here, each with a number that changes each time it comes back."""

    def standings(self, partitions: Collection[Partition]) -> dict[Partition, Standing]:
        """Return what the group has committed of each partition that it has committed anything of; it is final."""

    def beginning(self, partition: Partition) -> int:
        """Return the offset of the oldest message that is kept."""

    def existing(self) -> dict[str, int]:
        """Return how many partitions each topic that is read has now; those that do not exist are left out."""

    def rewind(self, positions: Sequence[InputPosition]) -> None:
        """Read again from these positions on: what was polled after them was not processed."""

    def pause(self) -> None:
        """Keep the group membership alive by polling, but deliver nothing."""

    def resume(self) -> None:
        """Deliver again, once every `pause` has had its `resume`."""

    def close(self) -> None:
        """Leave the group."""


class Publisher(Protocol):
    """Where outputs go, together with the note of what has been read."""

    def publish(
        self, messages: Sequence[OutputMessage], consumed: Sequence[InputPosition], marks: Marks = NO_MARKS
    ) -> None:
        """Publish the messages, commit the input offsets and note the marks beside them, all or nothing.

        ``consumed`` names processed messages; what is committed for each
        partition is the offset after its last one.

        Raises
        ------
        PublishError
            If the transaction was aborted: nothing was published, nothing committed.
        """

    def close(self) -> None:
        """Release the connection."""


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """The two ends of a stream: where messages come from, and where outputs go.

    They belong together, because publishing commits what was read.
    """

    source: MessageSource
    publisher: Publisher
