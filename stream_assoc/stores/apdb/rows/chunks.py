"""The chunk in which a transaction is noted for replication.

Replication to the PPDB copies a chunk once, ascending by id: as soon as a newer
one exists and its ``last_update_time`` is `MIN_WAIT_SECONDS` old, or when that is
`MAX_WAIT_SECONDS` old. What is noted in it later is never copied. So

* a transaction that was long under way is noted in the chunk of its own time,
  not in that of its processing time;
* it is committed soon after its chunk is chosen, or not at all;
* whoever begins a chunk notes that the one before it has changed just now. A transaction
  that is on its way there has `MIN_WAIT_SECONDS` from then on, also if nothing
  had happened in that chunk before.

The longest way: a session is prompt (60 s) and begins a chunk (60 s); another,
which had not seen that, begins the next (60 s); a third had chosen the first of
them in between (60 s). With 30 s between the clocks of hosts that is 270 s.
"""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH, SECONDS_PER_DAY

MIN_WAIT_SECONDS: Final = 300.0
MAX_WAIT_SECONDS: Final = 900.0
"""The defaults of ``ppdb-replication run``; longer waits are as good."""

MAX_CHUNK_SECONDS: Final = 600
"""A longer chunk may be copied for its age before it has ended."""

PROMPT_SECONDS: Final = 60.0
"""A session that began less long ago is noted in the chunk of its processing time, as by dax_apdb."""

COMMIT_SECONDS: Final = 30.0
"""After the choice of a chunk a transaction has this time, and once more if it is left idle."""

CLOCKS_SECONDS: Final = 30.0
"""How much the clocks of hosts may differ."""

OPEN_SECONDS: Final = int(MAX_CHUNK_SECONDS + PROMPT_SECONDS + COMMIT_SECONDS + CLOCKS_SECONDS)
"""So long after the beginning of a chunk nothing is about to be committed into it any more, by whatever clock."""

NEWEST_CHUNK: Final = "SELECT max(apdb_replica_chunk) FROM {{ApdbReplicaChunks}} WHERE apdb_replica_chunk <= {mark}"
"""The newest chunk up to `CommitTime.horizon`, the dialect's parameter."""

CHANGED_LATER: Final = (
    "UPDATE {{ApdbReplicaChunks}} SET last_update_time = {mark} "
    "WHERE apdb_replica_chunk = {mark} AND last_update_time < {mark}"
)
"""Notes that a chunk has changed, unless it did later still; parameters: time, chunk, time."""


@dataclass(frozen=True, slots=True)
class ReplicaChunk:
    """A time window of replication to the PPDB, as ``lsst.dax.apdb.ReplicaChunk`` defines it.

    Attributes
    ----------
    id : `int`
        Its beginning, seconds since 1970-01-01 TAI.
    last_update_time : `datetime.datetime`
        When it changed, likewise.
    unique_id : `uuid.UUID`
        Another for each change.
    before : `int` or `None`
        The chunk before it, if this one is begun and others may be on their way into that.
    """

    id: int
    last_update_time: datetime.datetime
    unique_id: uuid.UUID
    before: int | None = None


@dataclass(frozen=True, slots=True)
class CommitTime:
    """When a transaction is committed, by the clock of its processing times.

    Attributes
    ----------
    processed : `float`
        Latest processing time of its batches, seconds since 1970-01-01 TAI.
    now : `float`
        When its chunk is chosen, likewise.
    is_prompt : `bool`
        Whether the session began less than `PROMPT_SECONDS` ago.
    """

    processed: float
    now: float
    is_prompt: bool

    @property
    def last_update(self) -> float:
        """The time that is noted with the chunk: upstream's, the processing time, for a prompt commit."""
        return self.processed if self.is_prompt else self.now

    @property
    def horizon(self) -> int:
        """The last chunk that another writer may have begun by now, whatever its clock."""
        return int(self.now + CLOCKS_SECONDS)


def unix_tai(mjd_tai: float) -> float:
    """Return seconds since 1970-01-01 00:00:00 TAI, astropy's ``unix_tai``."""
    return (mjd_tai - MJD_OF_UNIX_EPOCH) * SECONDS_PER_DAY


def chunk_id(mjd_tai: float, chunk_seconds: int) -> int:
    """Return the replica chunk of a processing time, by dax_apdb's rule."""
    return _chunk_at(unix_tai(mjd_tai), chunk_seconds)


def commit_time(changes: Sequence[BatchChanges], elapsed_seconds: float) -> CommitTime:
    """Return when these batches are committed, the given time after their session began.

    No processing time is before the beginning of the session.
    """
    times = [unix_tai(change.entry.timeProcessedMjdTai) for change in changes]
    return CommitTime(max(times), max(*times, min(times) + elapsed_seconds), elapsed_seconds < PROMPT_SECONDS)


def choose_chunk(commit: CommitTime, newest: int | None, chunk_seconds: int) -> ReplicaChunk:
    """Return a chunk that is not replicated before the transaction is committed.

    That is the chunk of `CommitTime.last_update`, or the newest one where that
    is newer: then no update record is in a chunk before that of its row.

    Parameters
    ----------
    commit : `CommitTime`
    newest : `int` or `None`
        The newest chunk up to `CommitTime.horizon`; `None` if there is none.
    chunk_seconds : `int`
        Length of a chunk, at most 600: a longer one may be copied before it has ended.
    """
    identifier = _chunk_at(commit.last_update, chunk_seconds)
    before = newest
    if newest is not None and newest >= identifier:
        identifier, before = newest, None
    elif newest is not None and newest + chunk_seconds + MIN_WAIT_SECONDS < commit.now:
        # Nobody can be on his way there any more.
        before = None
    changed = datetime.datetime.fromtimestamp(commit.last_update, tz=datetime.UTC)
    return ReplicaChunk(identifier, changed, uuid.uuid4(), before)


def _chunk_at(time: float, chunk_seconds: int) -> int:
    return int(time) // chunk_seconds * chunk_seconds
