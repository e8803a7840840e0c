"""What a fault's remedy says makes the APDB sound again."""

from collections.abc import Callable, Sequence

import pytest

from stream_assoc.stores.apdb.create import repartition
from stream_assoc.stores.apdb.reading.inspection import Fault
from tests.pipeline.photometers import with_images
from tests.pipeline.skies import processed_from
from tests.pipeline.test_reprocessing import stars
from tests.tools.inspection.skies import KEPT, MADE_AGAIN, Tampering, inspected, services_on

NOTE = f'UPDATE "DiaSource" SET "diaObjectId" = "diaObjectId" WHERE "diaSourceId" = {KEPT}'
GIVE_TILES_A_VERSION = 'UPDATE "DiaObjectLast" SET ra = ra'


def miscount(apdb: Tampering) -> None:
    for table in ("DiaObject", "DiaObjectLast"):
        apdb.run(f'UPDATE "{table}" SET "nDiaSources" = "nDiaSources" + 1 WHERE "diaObjectId" = {KEPT}')


def misstate(apdb: Tampering) -> None:
    apdb.run(f'UPDATE "DiaObject" SET "r_psfFluxMean" = 1 WHERE "diaObjectId" = {KEPT}')


def misplace(apdb: Tampering) -> None:
    apdb.run(f'UPDATE "DiaObjectLast" SET "pixelId" = "pixelId" + 1 WHERE "diaObjectId" = {MADE_AGAIN}')


REPLACE = 'UPDATE "DiaObjectLast" SET "pixelId" = "pixelId" - 1 WHERE "diaObjectId" = ' + str(MADE_AGAIN)


@pytest.mark.parametrize(
    ("fault", "corrupt", "remedies"),
    [
        (Fault.WRONG_N_DIA_SOURCES, miscount, [NOTE]),
        (Fault.WRONG_STATISTICS, misstate, [NOTE]),
        (Fault.WRONG_PIXEL_ID, misplace, [REPLACE]),
    ],
)
def test_after_its_remedy_and_the_next_batch_nothing_is_wrong(
    apdb: Tampering, fault: Fault, corrupt: Callable[[Tampering], None], remedies: Sequence[str]
) -> None:
    corrupt(apdb)
    assert {find.fault for find in inspected(apdb.url)} == {fault}
    for remedy in remedies:
        apdb.run(remedy, noted=True)
    with services_on(apdb.url) as services:
        processed_from(services, 40, with_images(stars(3, [0.1, 20.1])))
    assert inspected(apdb.url) == []


def test_a_tile_gets_a_version_that_no_cached_tile_has(apdb: Tampering) -> None:
    apdb.run('DELETE FROM "StreamAssocTile"')
    assert {find.fault for find in inspected(apdb.url)} == {Fault.TILE_WITHOUT_VERSION}
    before = apdb.one("SELECT value FROM metadata WHERE name = 'stream_assoc:identity'")
    repartition(apdb.url, tile_level=10, cell_level=8)
    apdb.run(GIVE_TILES_A_VERSION, noted=True)
    assert inspected(apdb.url) == []
    assert apdb.one("SELECT value FROM metadata WHERE name = 'stream_assoc:identity'") != before
