"""Update records and chunks that other programs note for replication, and what is left out or added.

dax_apdb's administrator notes records at once. The replicator of the PPDB stops
for good at one that does not fit the rows it has (``docs/explanation/replication.md``),
so triggers leave out, of the records that others insert,

* those of a DIAObject that was noted in a chunk which changed within
  ``apdb.replica_lag_seconds``: a replica may get its version closed, or not have it;
* those of a DIASource without an owner.

They also do for other programs what a batch does itself: whoever begins a chunk
notes that the one before it has changed (`~stream_assoc.stores.apdb.sql.chunks`).

The triggers read how far replicas may lag from the ``metadata`` table. A daemon
writes it there when it starts.
"""

from typing import Final

from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.stores.apdb.sql.chunks import MAX_CHUNK_SECONDS, MIN_WAIT_SECONDS

LAG_KEY: Final = "stream_assoc:replica_lag_seconds"
"""The row of dax_apdb's ``metadata`` table that holds `Replication.lag_seconds`."""

LAG: Final = (
    f"coalesce((SELECT CAST(value AS double precision) FROM metadata WHERE name = '{LAG_KEY}'), "
    f"{DEFAULT_REPLICATION.lag_seconds})"
)
"""The expression of how far replicas may lag, seconds."""

OBJECT_RECORDS: Final = "('close_diaobject_validity', 'update_n_dia_sources')"
"""The kinds of records of DIAObjects."""

REACH_SECONDS: Final = int(MAX_CHUNK_SECONDS + MIN_WAIT_SECONDS)
"""So long after a chunk began, nobody is on his way into it any more."""

NOTE_LAG: Final = (
    "INSERT INTO {{metadata}} AS m (name, value) VALUES ({mark}, {mark}) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE m.value <> excluded.value"
)
"""Parameters: `LAG_KEY` and the seconds, as text."""
