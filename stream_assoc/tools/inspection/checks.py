"""What must hold in an APDB, and what to do where it does not."""

from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.reading.inspection import Fault


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes
    ----------
    fault : `Fault`
        What it is called where it does not.
    rule : `str`
        A sentence that is true of a sound APDB.
    remedy : `str`
        What to do about a row that breaks it.
    """

    fault: Fault
    rule: str
    remedy: str


_CLOSE_ONE: Final = (
    "end the earlier version where the later one begins (validityEndMjdTai); if both begin with the right sources, "
    "restore the object's rows from a backup"
)
_COPY_VERSION: Final = "write the row of DiaObjectLast anew from the open version in DiaObject"
_FOLD_ANEW: Final = (
    'UPDATE "DiaSource" SET "diaObjectId" = "diaObjectId" for a source of the object, which changes nothing but that '
    "the object is noted: the next batch over its tile counts and folds it anew"
)

CHECKS: Final = (
    Check(Fault.TWO_OPEN_VERSIONS, "An object has at most one version without validityEndMjdTai.", _CLOSE_ONE),
    Check(
        Fault.NEGATIVE_INTERVAL,
        "A version does not end before it begins.",
        "set validityEndMjdTai to where the next version begins, or to when the object was closed",
    ),
    Check(
        Fault.OVERLAPPING_VERSIONS, "A version ends before, or when, the next one of its object begins.", _CLOSE_ONE
    ),
    Check(
        Fault.GAP_BETWEEN_VERSIONS,
        "A version ends when the next one of its object begins, unless a re-processing made the object again.",
        "a closed object was given a version once more: close it again (setValidityEnd of dax_apdb), or set the "
        "earlier validityEndMjdTai to where the next version begins",
    ),
    Check(
        Fault.OPEN_VERSION_NOT_IN_LAST,
        "An object with an open version is in DiaObjectLast.",
        f"{_COPY_VERSION}; until then no source joins this object",
    ),
    Check(
        Fault.LAST_WITHOUT_OPEN_VERSION,
        "An object in DiaObjectLast has an open version.",
        "delete the row of DiaObjectLast: sources would go on joining a closed object",
    ),
    Check(
        Fault.LAST_DIFFERS_FROM_VERSION,
        "A row of DiaObjectLast equals the open version in every column that both have; on Cassandra "
        "DiaObjectLastToPartition and StreamAssocObject say where the two are.",
        _COPY_VERSION,
    ),
    Check(
        Fault.WRONG_PIXEL_ID,
        "pixelId is the HTM level-20 index of ra and dec, in DiaObjectLast and in the open version; on Cassandra "
        "apdb_part is their pixel.",
        "set pixelId of both rows to the expected one: the object is looked for there, and nowhere else",
    ),
    Check(
        Fault.WRONG_N_DIA_SOURCES,
        "nDiaSources of an open version is the number of sources that are not withdrawn.",
        _FOLD_ANEW,
    ),
    Check(
        Fault.SOURCE_WITHOUT_OBJECT,
        "The object of a source that is not withdrawn exists.",
        "restore the object's versions from a backup, or withdraw the source (withdrawDiaSources of dax_apdb)",
    ),
    Check(
        Fault.SOURCE_OF_CLOSED_OBJECT,
        "The object of a source that is not withdrawn is open.",
        "give the source to another object or withdraw it (reassignDiaSourcesToDiaObjects, withdrawDiaSources of "
        "dax_apdb)",
    ),
    Check(
        Fault.UNKNOWN_BAND,
        "The band of a source with an object is one of u, g, r, i, z, y.",
        "correct the band; until then no batch near this object can be processed without a cached state",
    ),
    Check(
        Fault.FORCED_SOURCE_WITHOUT_OBJECT,
        "The object of a forced source that is not withdrawn exists, open or closed.",
        "restore the object's versions from a backup, or withdraw the forced source (withdrawDiaForcedSources of "
        "dax_apdb)",
    ),
    Check(
        Fault.WRONG_STATISTICS,
        "The statistics of an open version are the fold of its sources, to the last bit.",
        f"{_FOLD_ANEW}. Use the daemon's settings (statistics, images.roots): an object that has had no source since "
        "these were changed, or a plugin was, differs until its next one",
    ),
    Check(
        Fault.STATISTICS_WITHOUT_VERSION,
        "A row of StreamAssocDiaObject belongs to a version in DiaObject.",
        "delete the row, or restore the version from a backup",
    ),
    Check(
        Fault.TILE_WITHOUT_VERSION,
        "The tile of an object that a batch has changed has a version.",
        "stop all daemons and run `stream-assoc apdb init --repartition`, so that no tile cached before is believed; "
        'then UPDATE "DiaObjectLast" SET ra = ra for its objects, which gives the tile a version',
    ),
    Check(
        Fault.TILE_OF_UNKNOWN_BATCH,
        "The batch that changed a tile last is in the ledger.",
        "restore the ledger's row from a backup: without it the batch would be processed a second time",
    ),
    Check(
        Fault.WRONG_SINGLE_SOURCE_COUNT,
        "The counter of StreamAssocCounter is the number of open versions with one source; on Cassandra that of "
        "StreamAssocLease.",
        "add the difference to one row of StreamAssocCounter, on Cassandra to n_single_source of one region by an "
        "UPDATE with IF; metrics report totalUnassociatedDiaObjects from it",
    ),
    Check(
        Fault.BATCH_NOT_IN_LEDGER,
        "A visit and detector with sources is in the ledger.",
        "restore the ledger's row from a backup: without it the batch would be processed a second time",
    ),
    Check(
        Fault.WRONG_N_STORED,
        "The latest processing of a batch stored as many sources as the ledger says.",
        "sources were deleted or added by hand: restore them from a backup, or send the batch again with --reprocess",
    ),
    Check(
        Fault.MISSING_REVISION,
        "The revisions of a batch in the ledger count from 0 without a hole.",
        "restore the ledger's rows from a backup",
    ),
    Check(
        Fault.OUTBOX_ENTRY_NOT_IN_LEDGER,
        "A batch in the outbox is in the ledger.",
        "restore the ledger's row from a backup: without it no daemon publishes the entry",
    ),
)
