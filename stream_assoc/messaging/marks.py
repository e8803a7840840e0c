"""What a Kafka transaction leaves beside the offsets it commits: the names of the batches it published.

Kafka keeps a few kilobytes of text with each committed offset, and writes them
in the transaction. So the text is there if and only if the outputs are, whatever
becomes of the input topic or of the offset. Reading it back is the proof that an
entry of the outbox was published.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from stream_assoc.core.model.batch import BatchRevision, pack_revisions, unpack_revisions

PartitionsHook = Callable[[frozenset[tuple[str, int]]], None]

Partition = tuple[str, int]
"""Topic and partition number."""

MOST_NAMED: Final = 200
"""Batches one transaction may publish: their names take 16 bytes each, and a broker's default
``offset.metadata.max.bytes`` is 4096."""

_FORM: Final = "stream_assoc/1"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a group has committed of a partition.

    Attributes
    ----------
    offset : `int`
        The next message to read.
    note : `str`
        The text that was committed with it.
    """

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeptOffset:
    """A partition's offset that is committed once more, for the sake of its mark.

    Attributes
    ----------
    offset : `int`
        The next message to read.
    assignment : `int`
        The assignment under which this was found out.
    """

    offset: int
    assignment: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The batches of one input partition that a transaction published.

    Attributes
    ----------
    identity : `str`
        The name of the APDB that the batches are in.
    names : `tuple` [`BatchRevision`, ...]
        The batches; none where the transaction published nothing of the partition.
    """

    identity: str
    names: tuple[BatchRevision, ...] = ()

    def write(self) -> str:
        """Return the mark as text."""
        return f"{_FORM} {self.identity} {base64.b64encode(pack_revisions(self.names)).decode()}"

    @classmethod
    def read(cls, note: str) -> Self | None:
        """Return the mark that a committed offset carries; `None` if it is none of ours.

        Examples
        --------
        >>> Mark.read("3f2a " + Mark("a1", (BatchRevision(7, 94, 0),)).write()).names
        (BatchRevision(visit=7, detector=94, revision=0),)
        >>> Mark.read("moved by hand") is None
        True
        """
        # Words before it name the topic and the transaction; see `KafkaPublisher`.
        match note.rpartition(f"{_FORM} ")[2].split(" ") if _FORM in note else ():
            case [identity, names] if identity:
                try:
                    return cls(identity, unpack_revisions(base64.b64decode(names, validate=True)))
                except (binascii.Error, ValueError):
                    return None
        return None


@dataclass(frozen=True, slots=True)
class Marks:
    """What a transaction notes of partitions.

    Attributes
    ----------
    texts : `Mapping` [`tuple` [`str`, `int`], `str`]
        The mark of each partition it publishes or consumes something of.
    kept : `Mapping` [`tuple` [`str`, `int`], `KeptOffset`]
        Where the offset of each of them stays, unless more is consumed.
    """

    texts: Mapping[Partition, str] = field(default_factory=dict)
    kept: Mapping[Partition, KeptOffset] = field(default_factory=dict)


NO_MARKS: Final = Marks()


def marks_of(
    identity: str, published: Sequence[tuple[Partition, BatchRevision]], kept: Mapping[Partition, KeptOffset]
) -> Marks:
    """Return the marks of a transaction.

    Parameters
    ----------
    identity : `str`
        The name of the APDB.
    published : `Sequence`
        Each batch it publishes, with the partition whose owner does so.
    kept : `Mapping`
        Where the offset stays of each partition of which it may consume nothing.
    """
    names: dict[Partition, list[BatchRevision]] = {partition: [] for partition in kept}
    for partition, key in published:
        names[partition].append(key)
    return Marks({partition: Mark(identity, tuple(keys)).write() for partition, keys in names.items()}, kept)
