"""Update records and chunks that other programs note for replication, and what is left out or added.

dax_apdb's administrator notes records at once. The replicator of the PPDB stops
for good at one that does not fit the rows it has (``docs/explanation/replication.md``),
so triggers leave out, of the records that others insert,

* those of a DIAObject that was noted in a chunk which changed within
  ``apdb.replica_lag_seconds``: a replica may get its version closed, or not have it;
* those of a DIASource without an owner.

They also do for other programs what a batch does itself: whoever begins a chunk
notes that the one before it has changed (`~stream_assoc.stores.apdb.rows.chunks`).

The triggers read how far replicas may lag from the table ``StreamAssocReplication``.
A daemon writes it there when it starts.
"""

from typing import Final

from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.stores.apdb.rows.chunks import MAX_CHUNK_SECONDS, MIN_WAIT_SECONDS
from stream_assoc.stores.apdb.rows.tables import REPLICATION

LAG: Final = f'coalesce((SELECT max(lag_seconds) FROM "{REPLICATION}"), {DEFAULT_REPLICATION.lag_seconds})'
"""The expression of how far replicas may lag, seconds."""

OBJECT_RECORDS: Final = "('close_diaobject_validity', 'update_n_dia_sources')"
"""The kinds of records of DIAObjects."""

REACH_SECONDS: Final = int(MAX_CHUNK_SECONDS + MIN_WAIT_SECONDS)
"""So long after a chunk began, nobody is on his way into it any more."""

NOTE_LAG: Final = (
    f"INSERT INTO {{{{{REPLICATION}}}}} AS r (number, lag_seconds) VALUES (0, {{mark}}) ON CONFLICT (number) "
    "DO UPDATE SET lag_seconds = excluded.lag_seconds WHERE r.lag_seconds <> excluded.lag_seconds"
)
"""Parameter: `Replication.lag_seconds`."""
