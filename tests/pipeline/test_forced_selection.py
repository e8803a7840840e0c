"""What upstream measures is measured, and every measurement has a name of its own."""

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.forced import forced_source_ids
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.pipeline.forced import candidates
from stream_assoc.pipeline.ports.photometry import SelectionConfig
from tests.photometry.skies import exposure

CONFIG = SelectionConfig()
NAMES = [5832555372999367889, 2251317318645692005, 7841065827231049972, 1320660253084997886]


def catalogue(image, x, y, n_sources):
    ra, dec = image.wcs.all_pix2world(np.asarray(x, float), np.asarray(y, float), 0)
    n = len(ra)
    return ObjectPositions(
        np.arange(n) + 2**60,
        ra,
        dec,
        np.full(n, np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.zeros(n),
        np.asarray(n_sources, np.int32),
    )


def test_objects_are_chosen_by_history_place_and_visit() -> None:
    image = exposure(np.zeros((100, 80)))
    objects = catalogue(
        image,
        x=[40, 40, 40, 79.4, 79.6, 40, 40, 500],
        y=[50, 50, 50, 99.4, 50.0, -1, 50, 500],
        n_sources=[2, 1, 9, 3, 3, 3, 1, 1],
    )
    updated = objects.diaObjectId[[6, 7]]
    chosen = candidates(objects, updated, image.contains(objects.ra, objects.dec), CONFIG)
    # Enough; too few; many; just inside; outside; outside; updated; updated and outside.
    assert chosen.tolist() == [True, False, True, True, False, False, False, False]


def test_nothing_is_chosen_from_nothing() -> None:
    nothing = np.empty(0, np.int64)
    assert len(candidates(ObjectPositions.empty(), nothing, np.empty(0, np.bool_), CONFIG)) == 0


def test_a_name_depends_on_visit_detector_and_object_alone() -> None:
    objects = np.array([1, 2, 2**60 + 1, 2**63 - 1])
    ids = forced_source_ids(BatchId(2026030900027, 88), objects)
    assert ids.dtype == np.int64
    assert forced_source_ids(BatchId(2026030900027, 88), objects[::-1]).tolist() == ids[::-1].tolist()
    # A change would give rows that are stored already another name.
    assert ids.tolist() == NAMES


def test_names_do_not_collide() -> None:
    rng = np.random.default_rng(6)
    near, far = np.arange(50_000) + 2**60, rng.integers(0, 2**63 - 1, 50_000)
    objects = np.unique(np.concatenate([near, far]))
    batches = [BatchId(2026030900027 + visit, detector) for visit in range(3) for detector in range(3)]
    ids = np.concatenate([forced_source_ids(batch, objects) for batch in batches])
    assert (ids >= 0).all()
    assert len(np.unique(ids)) == len(ids)
