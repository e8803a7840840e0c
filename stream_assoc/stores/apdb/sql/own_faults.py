"""The SQL by which faults of this package's own tables are found; see `stream_assoc.stores.apdb.sql.faults`."""

from collections.abc import Sequence
from typing import Final

from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.reading.inspection import Fault
from stream_assoc.stores.apdb.rows.tables import FURTHER, LEDGER, OUTBOX, TILE
from stream_assoc.stores.apdb.sql.faults import BATCH, IS_LIVE, LAST, OBJECT, Finder, Walk

STATISTICS: Final = Walk(FURTHER, "diaObjectId")
BATCHES: Final = Walk("DiaSource", "visit")
PROCESSINGS: Final = Walk(LEDGER, "visit")
UNPUBLISHED: Final = Walk(OUTBOX, "sequence")
TILES: Final = Walk(TILE, "tile")

_REVISION: Final = (*BATCH, "revision")


def tile_finders(levels: Sequence[int], first_batch: float) -> tuple[Finder, ...]:
    """Return what looks for faults of tile versions.

    Parameters
    ----------
    levels : sequence of `int`
        HTM levels of the tiles that have versions: more than one after the sky was divided anew.
    first_batch : `float`
        Processing time of the first batch, MJD TAI. What is older was stored by another program, without versions.
    """
    lacking = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {{{TILE}}} t "
        f'WHERE t.tile = (l."pixelId" >> {2 * (PIXEL_ID_LEVEL - level)}) AND t.version >= 1)'
        for level in levels
    )
    return (
        Finder(
            Fault.TILE_WITHOUT_VERSION,
            LAST,
            f'SELECT l."pixelId" >> {2 * (PIXEL_ID_LEVEL - levels[0])} AS tile, count(*) FROM {{DiaObjectLast}} l '
            f'WHERE l."pixelId" BETWEEN :low AND :high AND l."validityStartMjdTai" >= {first_batch!r} AND {lacking} '
            "GROUP BY 1",
            ("tile",),
            ("objects",),
        ),
        Finder(
            Fault.TILE_OF_UNKNOWN_BATCH,
            TILES,
            f"SELECT t.tile, t.visit, t.detector, t.revision FROM {{{TILE}}} t WHERE t.tile BETWEEN :low AND :high "
            f"AND t.visit IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {{{LEDGER}}} l "
            "WHERE l.visit = t.visit AND l.detector = t.detector AND l.revision = t.revision)",
            ("tile",),
            _REVISION,
        ),
    )


def batch_finders(first_batch: float) -> tuple[Finder, ...]:
    """Return what looks for faults of the ledger, the outbox and further statistics; see `tile_finders`."""
    return (
        Finder(
            Fault.BATCH_NOT_IN_LEDGER,
            BATCHES,
            "SELECT s.visit, s.detector, count(*) FROM {DiaSource} s WHERE s.visit BETWEEN :low AND :high "
            f'AND {IS_LIVE} AND s."timeProcessedMjdTai" >= {first_batch!r} AND NOT EXISTS ('
            f"SELECT 1 FROM {{{LEDGER}}} l WHERE l.visit = s.visit AND l.detector = s.detector) "
            "GROUP BY s.visit, s.detector",
            BATCH,
            ("live sources",),
        ),
        # Whatever an administrator does with a source, its row stays.
        Finder(
            Fault.WRONG_N_STORED,
            PROCESSINGS,
            "SELECT * FROM (SELECT l.visit, l.detector, l.revision, l.n_stored AS noted, (SELECT count(*) "
            "FROM {DiaSource} s WHERE s.visit = l.visit AND s.detector = l.detector "
            f'AND s."timeProcessedMjdTai" = l."timeProcessedMjdTai") AS stored FROM {{{LEDGER}}} l '
            f"WHERE l.visit BETWEEN :low AND :high AND l.revision = (SELECT max(m.revision) FROM {{{LEDGER}}} m "
            "WHERE m.visit = l.visit AND m.detector = l.detector)) c WHERE noted <> stored",
            _REVISION,
            ("n_stored", "stored sources"),
        ),
        Finder(
            Fault.MISSING_REVISION,
            PROCESSINGS,
            f"SELECT visit, detector, max(revision), count(*) FROM {{{LEDGER}}} WHERE visit BETWEEN :low AND :high "
            "GROUP BY visit, detector HAVING max(revision) + 1 <> count(*)",
            BATCH,
            ("latest revision", "revisions"),
        ),
        Finder(
            Fault.OUTBOX_ENTRY_NOT_IN_LEDGER,
            UNPUBLISHED,
            f"SELECT o.visit, o.detector, o.revision FROM {{{OUTBOX}}} o WHERE o.sequence BETWEEN :low AND :high "
            f"AND NOT EXISTS (SELECT 1 FROM {{{LEDGER}}} l "
            "WHERE l.visit = o.visit AND l.detector = o.detector AND l.revision = o.revision)",
            _REVISION,
        ),
        Finder(
            Fault.STATISTICS_WITHOUT_VERSION,
            STATISTICS,
            f'SELECT f."diaObjectId", f."validityStartMjdTai" FROM {{{FURTHER}}} f '
            'WHERE f."diaObjectId" BETWEEN :low AND :high AND NOT EXISTS (SELECT 1 FROM {DiaObject} o '
            'WHERE o."diaObjectId" = f."diaObjectId" AND o."validityStartMjdTai" = f."validityStartMjdTai")',
            OBJECT,
            ("validityStartMjdTai",),
        ),
    )
