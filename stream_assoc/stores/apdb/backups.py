"""Backups of a database that has no moment: nodes are copied one after another, while batches go on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BackupPart:
    """Tables that are copied together; all nodes have copied one part before the next is begun.

    Attributes
    ----------
    name : `str`
        Says what they are, such as ``rows``.
    keyspace : `str`
    tables : `tuple` [`str`, ...]
    """

    name: str
    keyspace: str
    tables: tuple[str, ...]


class ApdbBackups(Protocol):
    """What an operator does before and after copying nodes, and after copying them back.

    Every method raises `ApdbUnavailableError` if too few nodes answer.
    """

    def parts(self) -> list[BackupPart]:
        """Return what is to be copied, in this order: it is what keeps a backup whole while batches are stored."""

    def begin(self) -> int:
        """Mark the batches whose rows the backup will have for certain; return how many groups of them.

        Their plans are needed no more once it is whole.
        """

    def end(self) -> int:
        """Delete the plans that were marked before the backup, now that it is whole; return how many.

        No other plan is touched but those of groups that were aborted.
        """

    def apply_plans(self) -> Iterator[int]:
        """Write the rows of all batches that the restored ledger knows, and yield how many groups are done.

        Sessions that were under way are ended, and the database gets a new
        identity. Whoever is killed meanwhile runs it again.

        Raises
        ------
        ApdbDamagedError
            If a plan is missing that is needed.
        """
