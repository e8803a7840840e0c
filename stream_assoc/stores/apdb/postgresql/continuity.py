"""Whether a server still has what this process has committed.

A connection leads to one server for as long as it lives; the next may lead to
another: the standby that was promoted in the meantime. One that followed
asynchronously lacks the last commits of the server before it, and says nothing.
"""

from collections.abc import Sequence
from typing import Final

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.exceptions import ApdbRolledBackError
from stream_assoc.stores.apdb.postgresql.connection import BoundedConnection

_FOUND: Final = """
    SELECT asked.* FROM {ledger}
    JOIN unnest(%s::bigint[], %s::smallint[], %s::smallint[]) AS asked(visit, detector, revision)
    USING (visit, detector, revision)
"""


class Continuity:
    """Remembers the last commit of this process, and asks every new connection for it.

    A promoted standby has all commits up to some moment, so it lacks the last
    one if it lacks any.
    """

    def __init__(self) -> None:
        self._ledger = ""
        self._last: frozenset[BatchRevision] = frozenset()

    def note(self, ledger: str, committed: Sequence[BatchChanges]) -> None:
        """Remember that these batches are committed, for certain, to the ledger of this quoted name."""
        if committed:
            self._ledger, self._last = ledger, frozenset(one.entry.key for one in committed)

    def check(self, connection: BoundedConnection) -> None:
        """Return if what was committed last is there.

        Raises
        ------
        ApdbRolledBackError
            If it is not.
        ApdbUnavailableError
            If this is a standby, which may receive it yet.
        """
        if not self._last:
            return
        # Asked first: a standby that is promoted in between has replayed by then what it had received.
        ((is_standby,),) = connection.execute("SELECT pg_is_in_recovery()").fetchall()
        columns = [[key[index] for key in self._last] for index in range(3)]
        found = connection.execute(_FOUND.format(ledger=self._ledger).encode(), columns, binary=True)
        lost = sorted(self._last - {BatchRevision(*row) for row in found})
        if lost and is_standby:
            raise ApdbUnavailableError(
                "PostgreSQL cannot be used now (apdb.url): it is a standby that lacks what was committed: "
                "apdb.url must lead to the primary"
            )
        if lost:
            first = lost[0]
            raise ApdbRolledBackError(
                f"the APDB lacks visit {first.visit}, detector {first.detector}, revision {first.revision}, which "
                "this process has committed to it: a standby was promoted that had not received all. Stop every "
                "daemon; bring back the server that has it, or give this one a new identity (stream-assoc apdb init "
                "--repartition) and set the group's offsets back: docs/how-to/recover.md#the-apdb-from-a-backup"
            )
