"""Seeing that the APDB still has what subscribers have been sent.

A server that comes back may have forgotten: a backup was restored, or a standby was promoted that had not received
all. Later batches would be decided over a sky without what was published. The mark beside each committed offset
names the batches of its transaction, so the APDB can be asked for them.
"""

from collections.abc import Callable, Collection

import numpy as np

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.messaging.marks import Mark, Partition, Standing
from stream_assoc.pipeline.ports.sessions import ApdbReaders
from stream_assoc.service.exceptions import RolledBackError

NO_TILES = np.empty(0, np.int64)


class RollbackCheck:
    """Asks the APDB for the batches that were published last of each partition.

    Parameters
    ----------
    standings : callable
        Returns what the group has committed of partitions; the answer is final.
    apdb : `ApdbReaders`
        Holds the ledger.
    identity : `str`
        The name of the APDB. What was published from another one is not looked for.
    """

    def __init__(
        self,
        standings: Callable[[Collection[Partition]], dict[Partition, Standing]],
        apdb: ApdbReaders,
        identity: str,
    ) -> None:
        self._standings = standings
        self._apdb = apdb
        self._identity = identity

    def check(self, partitions: Collection[Partition]) -> None:
        """Return if the APDB has every batch that the marks of these partitions name.

        Raises
        ------
        RolledBackError
            If it lacks any of them.
        RetriableError
            If Kafka or the APDB is away.
        """
        # What is published is stored before: asked the other way round, one that comes meanwhile would seem lost.
        named = {
            key: f"{partition[0]}[{partition[1]}] at offset {standing.offset}"
            for partition, standing in self._standings(partitions).items()
            for key in self._named(standing)
        }
        if not named:
            return
        with self._apdb.reading() as reader:
            asked = sorted({BatchId(key.visit, key.detector) for key in named})
            entries = reader.read_snapshot(asked, NO_TILES).entries
        stored = {entry.key for revisions in entries.values() for entry in revisions}
        if lost := sorted(named.keys() - stored):
            raise RolledBackError(_what_is_lost(lost[0], len(lost), named[lost[0]]))

    def _named(self, standing: Standing) -> tuple[BatchRevision, ...]:
        mark = Mark.read(standing.note)
        return mark.names if mark is not None and mark.identity == self._identity else ()


def _what_is_lost(first: BatchRevision, n_lost: int, place: str) -> str:
    others = f" and {n_lost - 1} more" if n_lost > 1 else ""
    return (
        f"the APDB lacks visit {first.visit}, detector {first.detector}, revision {first.revision}{others}, and "
        f"subscribers have its outputs ({place}): a backup was restored, or a standby was promoted that had not "
        "received all. Stop every daemon, give the APDB a new identity (stream-assoc apdb init --repartition) and "
        "set the group's offsets back: docs/how-to/recover.md#the-apdb-from-a-backup"
    )
