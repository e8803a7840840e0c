"""Notes of the messages that daemons have in hand, by which a message that ends daemons is found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class InHand:
    """Messages of one partition that a daemon has taken up.

    They are done once the group's committed offset is beyond them; the note itself is never deleted.

    Attributes
    ----------
    topic : `str`
    partition : `int`
    first_offset, last_offset : `int`
        Of the messages.
    is_suspect : `bool`
        Whether it is one message, processed alone because a daemon died with it in hand.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    is_suspect: bool = False


class InHandNotes(Protocol):
    """Where daemons note the messages they have in hand."""

    def in_hand(self, partitions: Collection[tuple[str, int]]) -> list[InHand]:
        """Return the last note of each of these partitions (topic, number), whichever daemon wrote it."""

    def note_in_hand(self, notes: Sequence[InHand]) -> None:
        """Note what this daemon takes up now, one note a partition, in place of the partition's last note.

        The note outlives this process. It need not outlive a crash of the
        database's machine, so the call does not wait for a disk.
        """
