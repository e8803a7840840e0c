"""A process that stores batches until all are stored: hosts, keyspace, and where in the list it begins."""

import random
import sys
import time
from itertools import cycle, islice

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.pipeline.exceptions import ApdbUnavailableError, LedgerConflictError
from tests.stores.apdb.cassandra.daemon import FAR, NEAR, Daemon, entry, items

N_BATCHES = 60
PATIENCE_SECONDS = 4.0
"""Far above what a session takes on a busy machine: nothing renews a holder here, so a slow one would be aborted."""

CELLS = (NEAR, NEAR + 1, FAR)
"""Each has one item, of the same number."""


def cells_of(batch: int) -> list[int]:
    """Return the two cells, of three, whose items a batch touches."""
    return random.Random(batch).sample(CELLS, 2)


def store(daemon: Daemon, batch: int) -> None:
    """Store a batch, if it is not stored: add its name to the history of each of its items."""
    key = BatchRevision(batch, 0, 0)
    if daemon.claims.counts(key):
        return
    group_id, timestamp = daemon.take(*cells_of(batch))
    try:
        daemon.claims.claim(entry(key), group_id)
        rows = [(cell, f"{(daemon.item(cell) or ('',))[0]}{batch},", None) for cell in sorted(cells_of(batch))]
        daemon.commit(group_id, timestamp, [items(rows)], tuple(cell << 4 for cell in cells_of(batch)), 1)
    except LedgerConflictError:
        daemon.groups.abort(group_id)
    daemon.finish(group_id)


def main(hosts: str, keyspace: str, begin: str) -> None:
    """Store all batches, those of other processes too."""
    daemon = Daemon(hosts.split(","), keyspace, patience_seconds=PATIENCE_SECONDS, monotonic=time.monotonic)
    for batch in islice(cycle(range(N_BATCHES)), int(begin), int(begin) + N_BATCHES):
        while True:
            try:
                store(daemon, batch)
                break
            except ApdbUnavailableError:
                continue
    daemon.connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
