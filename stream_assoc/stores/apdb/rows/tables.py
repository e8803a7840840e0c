"""Names of tables and columns, those of ``lsst.dax.apdb`` and ours beside them."""

from collections.abc import Sequence
from typing import Final

from stream_assoc.core.model import further_statistics

LEDGER: Final = "StreamAssocLedger"
OUTBOX: Final = "StreamAssocOutbox"
TILE: Final = "StreamAssocTile"
COUNTER: Final = "StreamAssocCounter"
FURTHER: Final = further_statistics.TABLE
IN_HAND: Final = "StreamAssocInHand"
CHANGED: Final = "StreamAssocChanged"
REPLICATION: Final = "StreamAssocReplication"
CHECKPOINT: Final = "StreamAssocCheckpoint"
OUR_TABLES: Final = (LEDGER, OUTBOX, TILE, COUNTER, FURTHER, IN_HAND, CHANGED, REPLICATION, CHECKPOINT)

UPDATES: Final = "ApdbUpdateRecordChunks"
"""Where dax_apdb notes changes of rows that may have been replicated already."""

UPDATE_KEY: Final = ("apdb_replica_chunk", "update_time_ns", "update_order", "update_unique_id")
"""What its rows are told apart by."""

DAX_TABLES: Final = (
    "DiaObject",
    "DiaObjectLast",
    "DiaSource",
    "DiaForcedSource",
    "ApdbReplicaChunks",
    "DiaObjectChunks",
    "DiaSourceChunks",
    "DiaForcedSourceChunks",
    UPDATES,
)
"""Tables of dax_apdb that we write; the last five exist when replication is on."""

COUNTED_TABLES: Final = ("DiaObject", "DiaObjectLast", "DiaSource", "DiaForcedSource", LEDGER, OUTBOX)
"""What `Apdb.count_rows` reports on."""

N_COUNTER_SHARDS: Final = 64
"""Rows of the single-source counter: daemons that work on different skies rarely update the same one."""

IN_HAND_COLUMNS: Final = ("topic", "partition", "first_offset", "last_offset", "is_suspect")

TOLD_COLUMNS: Final = (
    "difference_image_uri",
    "science_image_uri",
    "template_image_uri",
    "observation_reason",
    "target_name",
)
"""Columns of the ledger, of text, for what a batch's message tells that alerts are made with."""

LEDGER_COLUMNS: Final = (
    "visit",
    "detector",
    "revision",
    "digest",
    "timeProcessedMjdTai",
    "n_sources",
    "n_stored",
    "input_topic",
    "input_partition",
    "input_offset",
    *TOLD_COLUMNS,
)

POSITION_COLUMNS: Final = (
    "pixelId",
    "diaObjectId",
    "ra",
    "dec",
    "raErr",
    "decErr",
    "validityStartMjdTai",
    "nDiaSources",
)
"""Columns of DiaObjectLast that `load_tiles` reads, in this order."""

VERSION_COLUMNS: Final = ("diaObjectId", "validityStartMjdTai", "raErr", "decErr", "ra_dec_Cov")
"""Columns of DiaObject that `load_histories` reads, in this order."""

POINT_COLUMNS: Final = (
    "diaObjectId",
    "ra",
    "dec",
    "midpointMjdTai",
    "psfFlux",
    "psfFluxErr",
    "scienceFlux",
    "scienceFluxErr",
)
"""Columns of DiaSource that `load_histories` reads, in this order, before band index and flag."""

GATHERED_COLUMNS: Final = (*POINT_COLUMNS[1:], "band", "visit", "detector", "timeWithdrawnMjdTai")
"""Columns of DiaSource that `load_histories` asks for without flags, besides those that it orders by."""

FORCED_COLUMNS: Final = ("diaObjectId", "timeProcessedMjdTai", "psfFlux", "psfFluxErr")
"""Columns of DiaForcedSource that statistics are made of, in this order, before the band index."""


def quoted(names: Sequence[str], qualifier: str = "") -> str:
    """Return the column names as a list of quoted identifiers."""
    return ", ".join(f'{qualifier}"{name}"' for name in names)


OUTBOX_COLUMNS: Final = ("visit", "detector", "revision", "outputs", "predecessors", "consumer_group")

KEYS: Final = {
    "DiaObject": ("diaObjectId", "validityStartMjdTai"),
    "DiaSource": ("diaSourceId",),
    "DiaForcedSource": ("diaObjectId", "visit", "detector"),
}
"""Primary keys, which are also what the replica chunk tables hold."""
