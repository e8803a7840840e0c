"""Versions of our tables, and how one becomes the next.

A new APDB goes through all of them, so that one made today and one brought up
to date are the same. Each is applied in a transaction of its own, which also
notes the new version; what was applied is never changed, only followed by
another. To add one: append it to `MIGRATIONS`, and name a new table in
`stream_assoc.stores.apdb.sql.statements.OUR_TABLES`.

Columns of statistics are not versions: which there are depends on the
settings, so they are compared by name (`missing_statistics`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import CACHE_SECRET_KEY, IDENTITY_KEY, OUR_VERSION_KEY, new_secret, numbers
from stream_assoc.stores.apdb.rows.tables import (
    CHANGED,
    CHECKPOINT,
    COUNTER,
    FURTHER,
    GATHERED_COLUMNS,
    IN_HAND,
    LEDGER,
    OUTBOX,
    REPLICATION,
    TILE,
    TOLD_COLUMNS,
    quoted,
)
from stream_assoc.stores.apdb.sql.database import INDEX_BY_OBJECT, INDEX_OF_LATER, INDEX_OF_POINTS, Database


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a version of our tables to the next.

    Attributes
    ----------
    version : `str`
        The version after it.
    purpose : `str`
        What it does, for whoever asks before.
    apply : callable
        Does it.
    """

    version: str
    purpose: str
    apply: Callable[[Database], None]


def pending(database: Database | None) -> tuple[Migration, ...]:
    """Return the migrations that a database has before it, in order; all of them if it has none of our tables."""
    stored = None if database is None or not database.exists("metadata") else database.note(OUR_VERSION_KEY)
    return tuple(one for one in MIGRATIONS if stored is None or numbers(one.version) > numbers(stored))


def migrate(database: Database, migration: Migration) -> None:
    """Apply a migration, and note it in the same transaction."""
    migration.apply(database)
    database.set_note(OUR_VERSION_KEY, migration.version)


def missing_statistics(database: Database | None, statistics: Sequence[str]) -> list[str]:
    """Return those of these columns that the table of further statistics does not have, in order."""
    stored = frozenset() if database is None else database.columns_of(FURTHER)
    return [name for name in statistics if name not in stored]


def add_statistics(database: Database, names: Sequence[str]) -> None:
    """Add columns to the table of further statistics; rows that are there have none of them."""
    for name in names:
        database.run(f'ALTER TABLE {{{FURTHER}}} ADD COLUMN "{name}" DOUBLE PRECISION')


_COLUMNS_OF_VERSION_1: Final = (
    "visit",
    "detector",
    "digest",
    "timeProcessedMjdTai",
    "n_sources",
    "n_stored",
    "input_topic",
    "input_partition",
    "input_offset",
)
_LEDGER_OF_VERSION_1: Final = """
    visit BIGINT NOT NULL,
    detector SMALLINT NOT NULL,
    digest {bytes} NOT NULL,
    "timeProcessedMjdTai" DOUBLE PRECISION NOT NULL,
    n_sources INTEGER NOT NULL,
    n_stored INTEGER NOT NULL,
    input_topic TEXT,
    input_partition INTEGER,
    input_offset BIGINT
"""


def _begin(database: Database) -> None:
    """Make the ledger, the outbox, the tiles and the counter.

    The counter starts at the number of DIAObjects that have one source now,
    so an APDB that others have filled counts right from the start.
    """
    there = [table for table in (LEDGER, OUTBOX, TILE, COUNTER, FURTHER) if database.exists(table)]
    if there:
        raise ApdbSchemaError(
            f"the APDB holds {', '.join(there)}, but its table metadata has no {OUR_VERSION_KEY} to say of which "
            "version; put that row back, or drop these tables"
        )
    database.run(f"CREATE TABLE {{{LEDGER}}} ({_LEDGER_OF_VERSION_1}, PRIMARY KEY (visit, detector))")
    database.run(
        f"CREATE TABLE {{{OUTBOX}}} (sequence {{sequence}}, visit BIGINT NOT NULL, detector SMALLINT NOT NULL, "
        "outputs {bytes} NOT NULL, UNIQUE (visit, detector))"
    )
    database.run(f"CREATE TABLE {{{TILE}}} (tile BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)")
    database.run(f"CREATE TABLE {{{COUNTER}}} (shard SMALLINT NOT NULL PRIMARY KEY, n_single_source BIGINT NOT NULL)")
    database.run(
        f"INSERT INTO {{{COUNTER}}} (shard, n_single_source) "
        'SELECT 0, count(*) FROM {DiaObjectLast} WHERE "nDiaSources" = 1'
    )


def _count_revisions(database: Database) -> None:
    """Key the ledger and the outbox by revision too: what they hold was processed once.

    Neither database can do without making the tables anew.
    """
    for table in (LEDGER, OUTBOX):
        database.run(f'CREATE TEMPORARY TABLE "old{table}" AS SELECT * FROM {{{table}}}')
        database.run(f"DROP TABLE {{{table}}}")
    key = "PRIMARY KEY (visit, detector, revision)"
    database.run(f"CREATE TABLE {{{LEDGER}}} ({_LEDGER_OF_VERSION_1}, revision SMALLINT NOT NULL, {key})")
    database.run(
        f"CREATE TABLE {{{OUTBOX}}} (sequence {{sequence}}, visit BIGINT NOT NULL, detector SMALLINT NOT NULL, "
        "revision SMALLINT NOT NULL, outputs {bytes} NOT NULL, UNIQUE (visit, detector, revision))"
    )
    kept = quoted(_COLUMNS_OF_VERSION_1)
    database.run(f'INSERT INTO {{{LEDGER}}} ({kept}, revision) SELECT {kept}, 0 FROM "old{LEDGER}"')
    database.run(
        f"INSERT INTO {{{OUTBOX}}} (visit, detector, revision, outputs) "
        f'SELECT visit, detector, 0, outputs FROM "old{OUTBOX}" ORDER BY sequence'
    )
    for table in (LEDGER, OUTBOX):
        database.run(f'DROP TABLE "old{table}"')


def _add_further_statistics(database: Database) -> None:
    database.run(
        f'CREATE TABLE {{{FURTHER}}} ("diaObjectId" BIGINT NOT NULL, '
        '"validityStartMjdTai" DOUBLE PRECISION NOT NULL, PRIMARY KEY ("diaObjectId", "validityStartMjdTai"))'
    )


def _order_outputs(database: Database) -> None:
    """Let a tile name the batch that changed it last, and an entry of the outbox those that come before it."""
    for table, column in (
        (OUTBOX, "predecessors {bytes}"),
        (OUTBOX, "consumer_group TEXT"),
        (TILE, "visit BIGINT"),
        (TILE, "detector SMALLINT"),
        (TILE, "revision SMALLINT"),
    ):
        database.run(f"ALTER TABLE {{{table}}} ADD COLUMN {column}")


def _add_cache_secret(database: Database) -> None:
    database.set_note(CACHE_SECRET_KEY, new_secret())


def _note_what_is_in_hand(database: Database) -> None:
    database.run(
        f"CREATE TABLE {{{IN_HAND}}} (topic TEXT NOT NULL, partition INTEGER NOT NULL, first_offset BIGINT NOT NULL, "
        "last_offset BIGINT NOT NULL, is_suspect BOOLEAN NOT NULL, PRIMARY KEY (topic, partition))"
    )


def _note_what_others_change(database: Database) -> None:
    """Make room for what triggers note. What was changed before, nobody noted: nothing cached so far is believed."""
    database.run(
        f'CREATE TABLE IF NOT EXISTS {{{CHANGED}}} ("diaObjectId" BIGINT NOT NULL PRIMARY KEY, tile BIGINT NOT NULL, '
        "is_outdated BOOLEAN NOT NULL)"
    )
    database.run(f'CREATE INDEX IF NOT EXISTS "{CHANGED}_tile" ON {{{CHANGED}}} (tile)')
    for key in (IDENTITY_KEY, CACHE_SECRET_KEY):
        database.run("DELETE FROM {metadata} WHERE name = ?", key)


def _note_lag(database: Database) -> None:
    database.run(
        f"CREATE TABLE {{{REPLICATION}}} (number SMALLINT NOT NULL PRIMARY KEY, "
        "lag_seconds DOUBLE PRECISION NOT NULL)"
    )


def _keep_checkpoints(database: Database) -> None:
    """Make room for states, each in a page of its own or a few: compressed, they would take longer to read."""
    database.run(
        f'CREATE TABLE IF NOT EXISTS {{{CHECKPOINT}}} ("diaObjectId" BIGINT NOT NULL PRIMARY KEY, '
        '"validityStartMjdTai" DOUBLE PRECISION NOT NULL, layout BIGINT NOT NULL, state {bytes} NOT NULL)'
    )
    if database.has_storage_options:
        database.run(f"ALTER TABLE {{{CHECKPOINT}}} ALTER COLUMN state SET STORAGE EXTERNAL")
    # What came later is found without a look at what came before. It does all that dax_apdb's own index does.
    database.run(
        f'CREATE INDEX IF NOT EXISTS "{INDEX_OF_LATER}" ON {{DiaSource}} ("diaObjectId", "timeProcessedMjdTai")'
    )
    database.run(f"DROP INDEX IF EXISTS {{{INDEX_BY_OBJECT}}}")


def _gather_points(database: Database) -> None:
    """Keep what states are folded from beside the key of an index: an object's sources then lie next to each other.

    An index alone can answer for rows that a vacuum has seen, so one comes
    often. It finds nothing to clean, and reads each page once.

    Outputs in the outbox are compressed before they come: the server would try
    again in vain, for longer than all else takes that it does with them.
    """
    if not database.has_storage_options:
        return
    points = quoted(GATHERED_COLUMNS)
    database.run(
        f'CREATE INDEX IF NOT EXISTS "{INDEX_OF_POINTS}" ON {{DiaSource}} '
        f'("diaObjectId", "timeProcessedMjdTai", "diaSourceId") INCLUDE ({points})'
    )
    database.run(f"DROP INDEX IF EXISTS {{{INDEX_OF_LATER}}}")
    database.run(
        "ALTER TABLE {DiaSource} SET "
        "(autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000)"
    )
    database.run(f"ALTER TABLE {{{OUTBOX}}} ALTER COLUMN outputs SET STORAGE EXTERNAL")


def _note_what_alerts_need(database: Database) -> None:
    """Let the ledger keep where the images of a batch are, and what its message said of the observation."""
    for column in TOLD_COLUMNS:
        database.run(f"ALTER TABLE {{{LEDGER}}} ADD COLUMN {column} TEXT")


def _nothing(_database: Database) -> None:
    """Change no table: the version alone keeps daemons of earlier versions away."""


MIGRATIONS: Final = (
    Migration("1.0.0", "add a ledger, an outbox, tile versions and a counter of single-source objects", _begin),
    Migration("2.0.0", "count revisions of a visit and detector in the ledger and the outbox", _count_revisions),
    Migration("2.1.0", "add a table for the statistics that DiaObject has no column for", _add_further_statistics),
    Migration("2.2.0", "name the locks of cells after the schema, not after apdb.namespace", _nothing),
    Migration("2.3.0", "keep the order in which the outputs of several daemons are published", _order_outputs),
    Migration("2.4.0", "add the secret that tells cached blobs of daemons from forged ones", _add_cache_secret),
    Migration(
        "2.5.0", "note which messages are in hand, so that one that ends daemons is found", _note_what_is_in_hand
    ),
    Migration(
        "2.6.0",
        "note by triggers what other programs change; the cache begins anew, once",
        _note_what_others_change,
    ),
    Migration("2.7.0", "leave out, by triggers, what others note that would stop a replica", _note_lag),
    Migration("2.8.0", "keep states of objects, from which later ones are folded on", _keep_checkpoints),
    Migration("2.9.0", "keep what states are folded from side by side, and outputs as they come", _gather_points),
    Migration(
        "2.10.0", "keep in the ledger where images of a batch are, and why it was taken", _note_what_alerts_need
    ),
)

OUR_VERSION: Final = MIGRATIONS[-1].version
"""The version of our tables that this installation writes."""
