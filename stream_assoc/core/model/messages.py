"""Messages as they are read and published, before and after any encoding."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from stream_assoc.core.model.changes import InputPosition

Headers = tuple[tuple[str, bytes], ...]

REPROCESSING_HEADER: Final = "stream_assoc.reprocessing"
"""Says, as ``true``, that a batch replaces an earlier one of its visit and detector."""

RELEASE_HEADER: Final = "stream_assoc.release"
"""Says that a person has looked at a quarantined batch and found it real."""

BY_KEY: Final = -1
"""The partition of a message that is put where its key belongs."""


@dataclass(frozen=True, slots=True)
class InputMessage:
    """A message as it was read, nothing of it interpreted.

    Attributes
    ----------
    position : `InputPosition`
        Topic, partition and offset.
    timestamp_ms : `int`
        Kafka's timestamp of the message, milliseconds since 1970 UTC; -1 when unset.
    key, value : `bytes` or `None`
    headers : `tuple` [`tuple` [`str`, `bytes`], ...]
    """

    position: InputPosition
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class OutputMessage(NamedTuple):
    """A message to be published; a tuple, because a visit has ten thousand of them."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def partition(self) -> int:
        """The one that follows from the key."""
        return BY_KEY


class PlacedMessage(NamedTuple):
    """A message to be published in a partition that does not follow from its key."""

    topic: str
    partition: int
    value: bytes
    headers: Headers = ()

    @property
    def key(self) -> bytes | None:
        """None: it says nothing that the value does not."""
        return None
