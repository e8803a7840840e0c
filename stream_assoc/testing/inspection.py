"""The questions of an inspection."""

import numpy as np

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.pipeline.ports.reader import SessionReader
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection, Fault, Find
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.rows import BIG, FIRST, SECOND, changes, dia_object, new_objects, pixel, source, store


class InspectionTests(ApdbCase):
    """The questions of an inspection."""

    def test_an_empty_apdb_contradicts_nothing(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        apdb.close()
        with place.inspection(DEFAULT_PATIENCE, flag_columns=()) as inspection:
            assert inspection.answers == set(Fault)
            assert finds(inspection) == []
            assert sum(map(len, inspection.placements())) == 0
            assert inspection.single_source_counter() == sum(inspection.single_source_objects()) == 0
            assert inspection.n_awaiting() == 0

    def test_what_was_stored_is_told(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 1]))
        with place.inspection(DEFAULT_PATIENCE, flag_columns=()) as inspection:
            assert finds(inspection) == []
            assert inspection.single_source_counter() == 2
            told_of_two_objects(inspection)
        store(apdb, a_source_that_does_not_count())
        with place.inspection(DEFAULT_PATIENCE, flag_columns=()) as inspection:
            # The object has two sources, its version says one.
            assert [(find.fault, dict(find.key)) for find in finds(inspection)] == [
                (Fault.WRONG_N_DIA_SOURCES, {"diaObjectId": BIG})
            ]


class InspectionOfOneMomentTests(ApdbCase):
    """An inspection of a database that can be held on to as it is."""

    def test_all_is_told_as_it_was_at_the_beginning(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 1]))
        with place.inspection(DEFAULT_PATIENCE, flag_columns=()) as inspection:
            # One that reads when it is first asked reads from here on.
            assert inspection.single_source_counter() == 2
            store(apdb, a_source_that_does_not_count())
            assert finds(inspection) == []
            told_of_two_objects(inspection)
            pixels = [one for some in inspection.placements() for one in some.pixelId.tolist()]
            assert pixels == [pixel(10.0, -5.0)] * 2


def a_source_that_does_not_count() -> BatchChanges:
    """Return a batch with a second source of an object, whose version says that it has one."""
    return changes(
        SECOND,
        [source(BIG + 9, diaObjectId=BIG, timeProcessedMjdTai=60001.0)],
        [dia_object(BIG, 60001.0, r_psfFluxMean=7.0)],
        time=60001.0,
    )


def told_of_two_objects(inspection: ApdbInspection) -> None:
    """Check what is told of two objects of one source each."""
    (placements,) = [some for some in inspection.placements() if len(some)]
    assert sorted(placements.diaObjectId.tolist()) == [BIG, BIG + 1]
    pixels = placements.pixel_of_position.tolist()
    assert len(set(pixels)) == 1
    assert placements.pixelId.tolist() == placements.pixel_of_version.tolist() == pixels
    assert sum(inspection.single_source_objects()) == 2
    ids = np.array([BIG, BIG + 1, BIG + 2])
    assert inspection.comparable(ids).tolist() == [BIG, BIG + 1]
    stored = inspection.stored_statistics(ids, ["r_psfFluxMean", "g_psfFluxMean"])
    assert stored[:2, 0].tolist() == [np.float32(1234.5678)] * 2
    assert np.isnan(stored[:, 1]).all()
    assert np.isnan(stored[2]).all()
    reader: SessionReader = inspection.reader
    assert reader.load_histories(ids).offsets.tolist() == [0, 1, 2]


def finds(inspection: ApdbInspection) -> list[Find]:
    """Return what reading every table finds."""
    return [find for part in inspection.parts() for stretch in inspection.stretches(part) for find in stretch.finds]
