"""A dead letter and where it lies."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.messaging.avro.dead_letters import DeadLetter, read_dead_letter

_ADDRESS: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")


class Address(NamedTuple):
    """Where a letter lies in the topic of dead letters; written ``PARTITION:OFFSET``."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a text names, or raise `ValueError`."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no PARTITION:OFFSET, such as 0:17")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, position: InputPosition) -> Self:
        """Return the address of a position in the topic of dead letters."""
        return cls(position.partition, position.offset)

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class FiledDeadLetter:
    """A dead letter and its address."""

    address: Address
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; those that meet every condition given.

    Attributes
    ----------
    reason : `str` or `None`
        Set aside for this reason.
    since_ms : `int` or `None`
        Set aside at this time or later, milliseconds since 1970 UTC.
    """

    reason: str | None = None
    since_ms: int | None = None

    def holds(self, filed: FiledDeadLetter) -> bool:
        """Tell whether this letter is meant."""
        record = filed.letter.record
        return (self.reason is None or record.reason == self.reason) and (
            self.since_ms is None or record.time >= self.since_ms
        )


def filed(message: InputMessage) -> FiledDeadLetter:
    """Return the letter that a message of the topic of dead letters is.

    Raises
    ------
    DecodeError
        If it is none.
    """
    return FiledDeadLetter(Address.of(message.position), read_dead_letter(message))


def without_repeats(letters: Iterable[FiledDeadLetter]) -> Iterator[FiledDeadLetter]:
    """Leave out letters whose original equals one before: a message that was sent back and failed again."""
    seen = set()
    for one in letters:
        original = one.letter.original
        value = None if original.value is None else hashlib.sha256(original.value).digest()
        content = (one.letter.record.topic, original.key, value, original.headers)
        if content not in seen:
            seen.add(content)
            yield one
