"""Our tables on Cassandra, beside those of dax_apdb.

What is decided by lightweight transaction (LWT) is in `GROUP`, `LEASE` and
`LEDGER`, which nothing else ever writes to. No table has a TTL.
"""

from typing import Final

GROUP: Final = "StreamAssocGroup"
"""The intents: one row for each try to store some batches together. Never deleted."""
LEASE: Final = "StreamAssocLease"
"""Who holds each cell, and what its last batch has left; one partition for the cells of a region."""
LEDGER: Final = "StreamAssocLedger"
"""The batches that a group has claimed; they count once the group is committed."""
PLAN: Final = "StreamAssocPlan"
"""All rows of a group, in chunks."""
UNFINISHED: Final = "StreamAssocUnfinished"
"""The groups that may be committed and not applied, and the replica chunks of these. It may name others too."""

OBJECT: Final = "StreamAssocObject"
"""The latest version of each object, also of one that has ended, and the partition of DiaObject that it is in."""
PLACE: Final = "StreamAssocPlace"
"""The partitions of DiaObject, DiaSource and DiaForcedSource in which rows of an object are.

``timeProcessedMjdTai`` is when a batch last stored a source there; NULL where nobody can tell.
"""
BATCH_ROWS: Final = "StreamAssocBatchRows"
"""The keys of the rows of a visit and detector, of all its revisions."""
SKY: Final = "StreamAssocSky"
"""The objects that have ever had a version in a trixel; those of a tile in one partition."""
VISIT: Final = "StreamAssocVisit"
"""The batches of each visit that are stored."""
RENEWED: Final = "StreamAssocRenewed"
"""The objects that each batch has given a version, by the day of its processing."""
CONTENTS: Final = "StreamAssocContents"
"""Which visits and days there are, in their order, which Cassandra's partitions are not in."""
CHECKPOINT: Final = "StreamAssocCheckpoint"
"""States to fold on from."""
OUTBOX: Final = "StreamAssocOutbox"
"""Outputs that are not published, in chunks."""
WAITING: Final = "StreamAssocWaiting"
"""What is in the outbox, in the order in which it was stored."""
IN_HAND: Final = "StreamAssocInHand"
"""The messages that daemons have in hand."""

SOURCE_CLAIM: Final = "StreamAssocSourceClaim"
"""The source ids that groups which prepare are about to store, in blocks."""
NOTICE: Final = "StreamAssocNotice"
"""What update records of other programs say of the objects of a cell, until a batch has dealt with it."""
CURSOR: Final = "StreamAssocCursor"
"""Up to where the update records are turned into notices."""

N_SHARDS: Final = 16
"""Partitions of the tables that are read as a whole."""

_BATCH: Final = "frozen<tuple<bigint, int, int>>"

DEFINITIONS: Final = {
    GROUP: """
        group_id uuid PRIMARY KEY, state text, counter bigint, cells frozen<list<bigint>>, timestamp bigint,
        n_chunks int, digest blob, tiles frozen<list<bigint>>, last_batch {batch}, single_source_delta bigint
    """,
    LEASE: """
        region bigint, cell bigint, n_single_source bigint STATIC, holder uuid, last_timestamp bigint,
        tile_versions frozen<map<bigint, bigint>>, last_batches frozen<map<bigint, {batch}>>,
        PRIMARY KEY ((region), cell)
    """,
    LEDGER: """
        visit bigint, detector int, revision int, group_id uuid, digest blob, "timeProcessedMjdTai" double,
        n_sources int, n_stored int, input_topic text, input_partition int, input_offset bigint,
        difference_image_uri text, science_image_uri text, template_image_uri text, observation_reason text,
        target_name text,
        PRIMARY KEY ((visit, detector), revision)
    """,
    PLAN: "group_id uuid, chunk int, body blob, PRIMARY KEY ((group_id), chunk)",
    UNFINISHED: "shard int, group_id uuid, apdb_replica_chunk bigint, PRIMARY KEY ((shard), group_id)",
    OBJECT: """
        "diaObjectId" bigint PRIMARY KEY, apdb_part bigint, apdb_time_part int, ra double, dec double,
        "raErr" float, "decErr" float, "ra_dec_Cov" float, "validityStartMjdTai" double,
        "validityEndMjdTai" double, "nDiaSources" int
    """,
    PLACE: """
        "diaObjectId" bigint, kind text, apdb_part bigint, apdb_time_part int, "timeProcessedMjdTai" double,
        PRIMARY KEY (("diaObjectId"), kind, apdb_part, apdb_time_part)
    """,
    BATCH_ROWS: "visit bigint, detector int, kind text, keys blob, PRIMARY KEY ((visit, detector), kind)",
    SKY: 'tile bigint, trixel bigint, "diaObjectId" bigint, PRIMARY KEY ((tile), trixel, "diaObjectId")',
    VISIT: "visit bigint, detector int, revision int, PRIMARY KEY ((visit), detector, revision)",
    RENEWED: """
        day int, shard int, "timeProcessedMjdTai" double, visit bigint, detector int, revision int, objects blob,
        PRIMARY KEY ((day, shard), "timeProcessedMjdTai", visit, detector, revision)
    """,
    CONTENTS: "kind text, stretch bigint, value bigint, PRIMARY KEY ((kind, stretch), value)",
    CHECKPOINT: '"diaObjectId" bigint PRIMARY KEY, "validityStartMjdTai" double, layout bigint, state blob',
    OUTBOX: """
        visit bigint, detector int, revision int, timestamp bigint STATIC, position int STATIC, n_chunks int STATIC,
        predecessors blob STATIC, consumer_group text STATIC, chunk int, body blob,
        PRIMARY KEY ((visit, detector, revision), chunk)
    """,
    WAITING: """
        shard int, timestamp bigint, position int, visit bigint, detector int, revision int,
        PRIMARY KEY ((shard), timestamp, position, visit, detector, revision)
    """,
    SOURCE_CLAIM: "block bigint, group_id uuid, ids blob, PRIMARY KEY ((block), group_id)",
    NOTICE: """
        cell bigint, update_time_ns bigint, update_order int, update_unique_id uuid, "diaObjectId" bigint,
        tile bigint, kind text, payload text, is_noticed boolean,
        PRIMARY KEY ((cell), update_time_ns, update_order, update_unique_id, "diaObjectId")
    """,
    CURSOR: "name text PRIMARY KEY, chunk bigint",
    IN_HAND: """
        topic text, partition int, first_offset bigint, last_offset bigint, is_suspect boolean,
        PRIMARY KEY ((topic, partition))
    """,
}


def statements() -> list[str]:
    """Return what creates our tables where they are missing."""
    return [
        f'CREATE TABLE IF NOT EXISTS "{table}" ({columns.format(batch=_BATCH)})'
        for table, columns in DEFINITIONS.items()
    ]
