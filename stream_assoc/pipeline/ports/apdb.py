"""An APDB as a whole: its sessions, its outbox, the notes of daemons, and its upkeep."""

from typing import Protocol

from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.in_hand import InHandNotes
from stream_assoc.pipeline.ports.outbox import ApdbOutbox
from stream_assoc.pipeline.ports.sessions import ApdbReaders, ApdbSessions


class Apdb(ApdbSessions, ApdbOutbox, Protocol):
    """An Alert Production Database in the schema that ``lsst.dax.apdb`` creates.

    Whoever needs less asks for less: `ApdbSessions` or `ApdbOutbox`.
    """

    def known_tiles(self) -> IntArray:
        """Return every tile that any batch has changed, sorted."""

    def count_rows(self) -> dict[str, int]:
        """Return the number of rows of each APDB table, for reports and checks."""

    def ping(self) -> None:
        """Return if the database answers; may be called from any thread.

        Raises
        ------
        ApdbError
            If it does not, or refuses this client.
        """

    def close(self) -> None:
        """Release every connection."""


class DaemonApdb(Apdb, ApdbReaders, InHandNotes, Protocol):
    """An APDB that can also be read without a session, and keeps the notes of daemons."""
