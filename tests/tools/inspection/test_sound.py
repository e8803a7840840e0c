"""What a daemon leaves is right, whatever it did; and what is found does not depend on how the tables are read."""

from collections.abc import Sequence
from typing import Any

import pytest

from stream_assoc.stores.apdb.create import repartition
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.reading.inspection import Fault
from stream_assoc.stores.apdb.reading.open import open_inspection
from stream_assoc.stores.apdb.sql import inspection as sql_inspection
from stream_assoc.tools.inspection.sampling import Sampling
from stream_assoc.tools.inspection.tasks import tasks
from stream_assoc.wiring.pipeline import calculator_of
from tests.tools.inspection.skies import EMPTIED, KEPT, MADE_AGAIN, SETTINGS, Tampering, inspected


def test_nothing_is_wrong_after_a_night_with_forced_photometry_and_reprocessing(apdb: Tampering) -> None:
    closed = apdb.one(f'SELECT count(*) FROM "DiaObject" WHERE "diaObjectId" = {EMPTIED} AND "validityEndMjdTai" > 0')
    (first, _), (_, second) = apdb.run(
        'SELECT "validityEndMjdTai", "validityStartMjdTai" FROM "DiaObject" '
        f'WHERE "diaObjectId" = {MADE_AGAIN} ORDER BY "validityStartMjdTai"'
    )
    assert closed == 1
    assert first < second
    assert apdb.one('SELECT count(*) FROM "DiaForcedSource"') > 100
    assert inspected(apdb.url) == []


def test_nothing_is_wrong_after_the_sky_was_divided_anew(apdb: Tampering) -> None:
    repartition(apdb.url, tile_level=11, cell_level=9)
    assert inspected(apdb.url) == []
    apdb.run('DELETE FROM "StreamAssocTile"')
    assert {find.fault for find in inspected(apdb.url)} == {Fault.TILE_WITHOUT_VERSION}


def test_what_is_found_does_not_depend_on_the_length_of_stretches(
    apdb: Tampering, monkeypatch: pytest.MonkeyPatch
) -> None:
    apdb.run('UPDATE "DiaObject" SET "nDiaSources" = "nDiaSources" + 1')
    apdb.run('UPDATE "DiaObjectLast" SET "pixelId" = "pixelId" + 1')
    apdb.run('DELETE FROM "StreamAssocOutbox" WHERE visit = 1')
    apdb.run('DELETE FROM "StreamAssocLedger" WHERE visit = 1')
    longest = sorted(str(find) for find in inspected(apdb.url) if find.fault is not Fault.TILE_WITHOUT_VERSION)
    assert len(longest) > 200
    read = []
    fetch = sql_inspection.SqlInspection._in_span

    def counted(self: Any, *arguments: Any) -> Sequence[Any]:
        rows = fetch(self, *arguments)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(sql_inspection, "_ROWS_A_STRETCH", 7)
    monkeypatch.setattr(sql_inspection.SqlInspection, "_in_span", counted)
    assert sorted(str(find) for find in inspected(apdb.url)) == longest
    # All rows of a key are in one stretch: of an object, or of a visit.
    assert max(read) < 30


def test_all_is_of_the_moment_when_the_inspection_began(apdb: Tampering) -> None:
    with open_inspection(apdb.url, flag_columns=SETTINGS.statistics.flag_columns) as inspection:
        apdb.run('UPDATE "DiaObject" SET "nDiaSources" = 99, "r_psfFluxMean" = 1')
        apdb.run('DELETE FROM "StreamAssocLedger" WHERE visit = 2')
        work = tasks(inspection, calculator_of(SETTINGS), Sampling(None))
        assert [find for task in work for step in task.steps for find in step.finds] == []
    assert {find.fault for find in inspected(apdb.url)} >= {Fault.WRONG_N_DIA_SOURCES, Fault.BATCH_NOT_IN_LEDGER}


def test_what_another_program_changed_awaits_its_next_batch(apdb: Tampering) -> None:
    apdb.run(f'UPDATE "DiaSource" SET "psfFlux" = 5 WHERE "diaObjectId" = {KEPT}', noted=True)
    apdb.run(f'UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 70000 WHERE "diaSourceId" = {KEPT}', noted=True)
    assert inspected(apdb.url) == []
    with open_inspection(apdb.url) as inspection:
        assert inspection.n_awaiting() == 1


def test_progress_goes_to_the_end(apdb: Tampering) -> None:
    with open_inspection(apdb.url) as inspection:
        told = {
            task.what: [step.done for step in task.steps]
            for task in tasks(inspection, calculator_of(SETTINGS), Sampling(5))
        }
    assert all(done == sorted(done) for done in told.values())
    assert told["statistics"] == [5]
    n_objects = apdb.one('SELECT count(*) FROM "DiaObjectLast"')
    assert told["pixels of DiaObjectLast"][-1] == n_objects


def test_tables_of_another_version_are_refused(apdb: Tampering) -> None:
    apdb.run("UPDATE metadata SET value = '1.0.0' WHERE name = 'version:stream_assoc'")
    with pytest.raises(ApdbSchemaError, match="apdb init"):
        inspected(apdb.url)


@pytest.mark.integration
def test_what_is_no_apdb_is_refused(postgresql_database: str, tmp_path: Any) -> None:
    (tmp_path / "empty.sqlite3").touch()
    for url in (postgresql_database, f"sqlite:///{tmp_path}/empty.sqlite3"):
        with pytest.raises(ApdbSchemaError, match="no APDB"):
            inspected(url)
