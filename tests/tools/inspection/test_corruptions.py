"""Each injected corruption is found by its name, under the right id, and nothing else is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from stream_assoc.stores.apdb.reading.inspection import Fault
from stream_assoc.tools.inspection.checks import CHECKS
from tests.tools.inspection.skies import EMPTIED, KEPT, Tampering, inspected

Key: TypeAlias = dict[str, int]
Corruption: TypeAlias = Callable[[Tampering], Key]

NOBODY = 4242
SEEN_TWICE = """
    SELECT "diaObjectId" FROM "DiaObject" WHERE "validityEndMjdTai" IS NULL AND "nDiaSources" > 2
    ORDER BY "diaObjectId" LIMIT 1
"""


def known(apdb: Tampering) -> int:
    """Return an object with some versions and sources, all of which follow each other."""
    return int(apdb.one(SEEN_TWICE))


def first_version(apdb: Tampering, victim: int) -> str:
    start = apdb.one(f'SELECT min("validityStartMjdTai") FROM "DiaObject" WHERE "diaObjectId" = {victim}')
    return f'"diaObjectId" = {victim} AND "validityStartMjdTai" = {start!r}'


def a_source(apdb: Tampering, victim: int) -> int:
    return int(apdb.one(f'SELECT min("diaSourceId") FROM "DiaSource" WHERE "diaObjectId" = {victim}'))


def change_version(apdb: Tampering, change: str, victim: int | None = None) -> Key:
    victim = known(apdb) if victim is None else victim
    apdb.run(f'UPDATE "DiaObject" SET {change} WHERE {first_version(apdb, victim)}')
    return {"diaObjectId": victim}


def a_second_open_version(apdb: Tampering) -> Key:
    return change_version(apdb, '"validityEndMjdTai" = NULL')


def a_version_that_ends_before_it_begins(apdb: Tampering) -> Key:
    return change_version(apdb, '"validityEndMjdTai" = "validityStartMjdTai" - 1')


def a_version_that_ends_late(apdb: Tampering) -> Key:
    return change_version(apdb, '"validityEndMjdTai" = "validityEndMjdTai" + 1e-9')


def a_version_that_is_open_before_a_closed_one(apdb: Tampering) -> Key:
    # Only the version after it knows that the object was closed.
    apdb.insert_like(
        "DiaObject",
        f'"diaObjectId" = {EMPTIED}',
        validityStartMjdTai='"validityEndMjdTai"',
        validityEndMjdTai='"validityEndMjdTai" + 1',
        diaObjectId=NOBODY,
    )
    apdb.insert_like(
        "DiaObject",
        f'"diaObjectId" = {EMPTIED}',
        validityEndMjdTai="NULL",
        diaObjectId=NOBODY,
        nDiaSources=0,
    )
    apdb.insert_like(
        "DiaObjectLast",
        f'"diaObjectId" = {KEPT}',
        **{
            name: f'(SELECT "{name}" FROM "DiaObject" WHERE "diaObjectId" = {NOBODY} AND "nDiaSources" = 0)'
            for name in LAST_COLUMNS
        },
    )
    return {"diaObjectId": NOBODY}


LAST_COLUMNS = (
    *("diaObjectId", "validityStartMjdTai", "lastDiaSourceMjdTai", "firstDiaSourceMjdTai", "nDiaSources", "pixelId"),
    *("ra", "dec", "raErr", "decErr", "ra_dec_Cov"),
)


def a_version_that_ends_early(apdb: Tampering) -> Key:
    return change_version(apdb, '"validityEndMjdTai" = "validityStartMjdTai"')


def an_object_that_is_not_in_last(apdb: Tampering) -> Key:
    victim = known(apdb)
    apdb.run(f'DELETE FROM "DiaObjectLast" WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def nobody_in_last(apdb: Tampering) -> Key:
    apdb.insert_like("DiaObjectLast", f'"diaObjectId" = {KEPT}', diaObjectId=NOBODY)
    return {"diaObjectId": NOBODY}


def a_closed_object_in_last(apdb: Tampering) -> Key:
    apdb.insert_like("DiaObjectLast", f'"diaObjectId" = {KEPT}', diaObjectId=EMPTIED)
    return {"diaObjectId": EMPTIED}


def a_number_of_sources_in_last(apdb: Tampering) -> Key:
    victim = known(apdb)
    apdb.run(f'UPDATE "DiaObjectLast" SET "nDiaSources" = 99 WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def an_error_that_last_lacks(apdb: Tampering) -> Key:
    victim = known(apdb)
    apdb.run(f'UPDATE "DiaObjectLast" SET "raErr" = NULL WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def a_pixel_in_last(apdb: Tampering) -> Key:
    victim = known(apdb)
    apdb.run(f'UPDATE "DiaObjectLast" SET "pixelId" = "pixelId" + 1 WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def a_pixel_of_a_version(apdb: Tampering) -> Key:
    victim = known(apdb)
    apdb.run(f'UPDATE "DiaObject" SET "pixelId" = "pixelId" + 1 WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def a_number_of_sources(apdb: Tampering) -> Key:
    victim = known(apdb)
    for table in ("DiaObject", "DiaObjectLast"):
        apdb.run(f'UPDATE "{table}" SET "nDiaSources" = "nDiaSources" + 1 WHERE "diaObjectId" = {victim}')
    return {"diaObjectId": victim}


def another_source(apdb: Tampering, **values: object) -> Key:
    """Add a source that no processing of a batch counts."""
    older = '"timeProcessedMjdTai" - 1'
    where = f'"diaSourceId" = {a_source(apdb, known(apdb))}'
    apdb.insert_like("DiaSource", where, **{"diaSourceId": NOBODY, "timeProcessedMjdTai": older, **values})
    return {"diaSourceId": NOBODY}


def a_source_of_nobody(apdb: Tampering) -> Key:
    return another_source(apdb, diaObjectId=NOBODY)


def a_source_of_a_closed_object(apdb: Tampering) -> Key:
    return another_source(apdb, diaObjectId=EMPTIED)


def a_band_that_is_none(apdb: Tampering) -> Key:
    source = a_source(apdb, known(apdb))
    apdb.run(f'UPDATE "DiaSource" SET band = NULL WHERE "diaSourceId" = {source}')
    return {"diaSourceId": source}


def a_forced_source_of_nobody(apdb: Tampering) -> Key:
    apdb.insert_like(
        "DiaForcedSource", f'"diaObjectId" = {KEPT} AND visit = 2', diaObjectId=NOBODY, detector=77, visit=3
    )
    return {"diaObjectId": NOBODY, "visit": 3, "detector": 77}


def a_mean_flux(apdb: Tampering) -> Key:
    apdb.run(f'UPDATE "DiaObject" SET "r_psfFluxMean" = "r_psfFluxMean" * 2 WHERE "diaObjectId" = {KEPT}')
    return {"diaObjectId": KEPT}


def a_mean_flux_that_is_gone(apdb: Tampering) -> Key:
    apdb.run(f'UPDATE "DiaObject" SET "r_psfFluxMean" = NULL WHERE "diaObjectId" = {KEPT}')
    return {"diaObjectId": KEPT}


def a_further_statistic(apdb: Tampering) -> Key:
    apdb.run(f'UPDATE "StreamAssocDiaObject" SET "r_psfFluxChi2" = 7e7 WHERE "diaObjectId" = {KEPT}')
    return {"diaObjectId": KEPT}


def a_flux_of_a_source(apdb: Tampering) -> Key:
    apdb.run(f'UPDATE "DiaSource" SET "psfFlux" = 5 WHERE "diaSourceId" = {KEPT}')
    return {"diaObjectId": KEPT}


def a_flux_of_a_forced_source(apdb: Tampering) -> Key:
    apdb.run(f'UPDATE "DiaForcedSource" SET "psfFlux" = 5 WHERE "diaObjectId" = {KEPT}')
    return {"diaObjectId": KEPT}


def statistics_of_nobody(apdb: Tampering) -> Key:
    apdb.insert_like(
        "StreamAssocDiaObject",
        first_version(apdb, known(apdb)),
        validityStartMjdTai='"validityStartMjdTai" + 1e-6',
    )
    return {"diaObjectId": known(apdb)}


def a_tile_that_is_gone(apdb: Tampering) -> Key:
    pixel = apdb.one(f'SELECT "pixelId" FROM "DiaObjectLast" WHERE "diaObjectId" = {known(apdb)}')
    tile = pixel >> 20
    apdb.run(f'DELETE FROM "StreamAssocTile" WHERE tile = {tile}')
    return {"tile": tile}


def a_tile_of_version_zero(apdb: Tampering) -> Key:
    pixel = apdb.one(f'SELECT "pixelId" FROM "DiaObjectLast" WHERE "diaObjectId" = {known(apdb)}')
    tile = pixel >> 20
    apdb.run(f'UPDATE "StreamAssocTile" SET version = 0 WHERE tile = {tile}')
    return {"tile": tile}


def a_tile_of_a_batch_that_is_none(apdb: Tampering) -> Key:
    tile = int(apdb.one('SELECT min(tile) FROM "StreamAssocTile"'))
    apdb.run(f'UPDATE "StreamAssocTile" SET revision = 9 WHERE tile = {tile}')
    return {"tile": tile}


def the_counter(apdb: Tampering) -> Key:
    shard = apdb.one('SELECT min(shard) FROM "StreamAssocCounter"')
    apdb.run(f'UPDATE "StreamAssocCounter" SET n_single_source = n_single_source + 1 WHERE shard = {shard}')
    return {}


def a_batch_that_is_not_in_the_ledger(apdb: Tampering) -> Key:
    another_source(apdb, diaObjectId="NULL", visit=777, detector=7, timeProcessedMjdTai='"timeProcessedMjdTai"')
    return {"visit": 777, "detector": 7}


def a_source_that_is_gone(apdb: Tampering) -> Key:
    # It belongs to no object, so that no other number says that it was there.
    source, visit, detector = apdb.run(
        'SELECT "diaSourceId", visit, detector FROM "DiaSource" WHERE "diaObjectId" IS NULL ORDER BY 1 LIMIT 1'
    )[0]
    apdb.run(f'DELETE FROM "DiaSource" WHERE "diaSourceId" = {source}')
    return {"visit": visit, "detector": detector, "revision": 0}


def a_revision_that_is_gone(apdb: Tampering) -> Key:
    for table in ("StreamAssocOutbox", "StreamAssocLedger"):
        apdb.run(f'DELETE FROM "{table}" WHERE visit = 1 AND detector = 0 AND revision = 0')
    return {"visit": 1, "detector": 0}


def an_entry_of_the_outbox_that_is_no_batch(apdb: Tampering) -> Key:
    apdb.insert_like("StreamAssocOutbox", "visit = 1 AND detector = 0 AND revision = 0", visit=888)
    return {"visit": 888, "detector": 0, "revision": 0}


CORRUPTIONS: tuple[tuple[Fault, Corruption], ...] = (
    (Fault.TWO_OPEN_VERSIONS, a_second_open_version),
    (Fault.NEGATIVE_INTERVAL, a_version_that_ends_before_it_begins),
    (Fault.OVERLAPPING_VERSIONS, a_version_that_ends_late),
    (Fault.OVERLAPPING_VERSIONS, a_version_that_is_open_before_a_closed_one),
    (Fault.GAP_BETWEEN_VERSIONS, a_version_that_ends_early),
    (Fault.OPEN_VERSION_NOT_IN_LAST, an_object_that_is_not_in_last),
    (Fault.LAST_WITHOUT_OPEN_VERSION, nobody_in_last),
    (Fault.LAST_WITHOUT_OPEN_VERSION, a_closed_object_in_last),
    (Fault.LAST_DIFFERS_FROM_VERSION, a_number_of_sources_in_last),
    (Fault.LAST_DIFFERS_FROM_VERSION, an_error_that_last_lacks),
    (Fault.WRONG_PIXEL_ID, a_pixel_in_last),
    (Fault.WRONG_PIXEL_ID, a_pixel_of_a_version),
    (Fault.WRONG_N_DIA_SOURCES, a_number_of_sources),
    (Fault.SOURCE_WITHOUT_OBJECT, a_source_of_nobody),
    (Fault.SOURCE_OF_CLOSED_OBJECT, a_source_of_a_closed_object),
    (Fault.UNKNOWN_BAND, a_band_that_is_none),
    (Fault.FORCED_SOURCE_WITHOUT_OBJECT, a_forced_source_of_nobody),
    (Fault.WRONG_STATISTICS, a_mean_flux),
    (Fault.WRONG_STATISTICS, a_mean_flux_that_is_gone),
    (Fault.WRONG_STATISTICS, a_further_statistic),
    (Fault.WRONG_STATISTICS, a_flux_of_a_source),
    (Fault.WRONG_STATISTICS, a_flux_of_a_forced_source),
    (Fault.STATISTICS_WITHOUT_VERSION, statistics_of_nobody),
    (Fault.TILE_WITHOUT_VERSION, a_tile_that_is_gone),
    (Fault.TILE_WITHOUT_VERSION, a_tile_of_version_zero),
    (Fault.TILE_OF_UNKNOWN_BATCH, a_tile_of_a_batch_that_is_none),
    (Fault.WRONG_SINGLE_SOURCE_COUNT, the_counter),
    (Fault.BATCH_NOT_IN_LEDGER, a_batch_that_is_not_in_the_ledger),
    (Fault.WRONG_N_STORED, a_source_that_is_gone),
    (Fault.MISSING_REVISION, a_revision_that_is_gone),
    (Fault.OUTBOX_ENTRY_NOT_IN_LEDGER, an_entry_of_the_outbox_that_is_no_batch),
)


@pytest.mark.parametrize(("fault", "corrupt"), [pytest.param(*one, id=one[1].__name__) for one in CORRUPTIONS])
def test_a_corruption_is_found_by_name_and_nothing_else_is(
    apdb: Tampering, fault: Fault, corrupt: Callable[[Tampering], Any]
) -> None:
    key = corrupt(apdb)
    assert [(find.fault, dict(find.key)) for find in inspected(apdb.url)] == [(fault, key)]


def test_every_fault_has_a_rule_a_remedy_and_a_corruption() -> None:
    assert [check.fault for check in CHECKS] == list(Fault)
    assert {fault for fault, _ in CORRUPTIONS} == set(Fault)
    assert all(check.rule.endswith(".") and check.remedy and not check.remedy.endswith(".") for check in CHECKS)
    page = (Path(__file__).parents[3] / "docs/how-to/check-the-apdb.md").read_text(encoding="utf-8")
    for check in CHECKS:
        assert f"| `{check.fault.value}` | {check.rule} | {check.remedy[0].upper()}{check.remedy[1:]}. |" in page
