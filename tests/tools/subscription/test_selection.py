import pytest

from stream_assoc.core.model.times import day_obs
from stream_assoc.tools.subscription.records import DiaObjectUpdate, ForcedSource
from stream_assoc.tools.subscription.selection import (
    Cone,
    ForcedSourceSelection,
    MetricsSelection,
    ObjectSelection,
)
from stream_assoc.tools.subscription.since import SubscriptionError
from tests.outputs import metrics_of

NIGHT = day_obs(60_000.2)


@pytest.mark.parametrize(
    ("ra", "dec", "radius_deg", "words"),
    [
        (150.0, 95.0, 1.0, "no position"),
        (150.0, -90.1, 1.0, "no position"),
        (400.0, 5.0, 1.0, "no position"),
        (-181.0, 5.0, 1.0, "no position"),
        (float("nan"), 5.0, 1.0, "no position"),
        (150.0, 5.0, -1.0, "radius"),
        (150.0, 5.0, 180.1, "radius"),
        (150.0, 5.0, float("nan"), "radius"),
    ],
)
def test_a_circle_that_is_none_is_refused(ra: float, dec: float, radius_deg: float, words: str) -> None:
    with pytest.raises(SubscriptionError, match=words):
        Cone(ra, dec, radius_deg)


@pytest.mark.parametrize("ra", [-10.0, 350.0])
def test_a_circle_may_lie_across_ra_0(ra: float) -> None:
    assert Cone(ra, 0.0, 11.0).holds(0.5, 0.0)
    assert not Cone(ra, 0.0, 9.0).holds(0.5, 0.0)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (MetricsSelection(), {1, 2, 3}),
        (MetricsSelection(visits=frozenset({1, 3})), {1, 3}),
        (MetricsSelection(detectors=frozenset({7})), {2}),
        (MetricsSelection(bands=frozenset({"g", "z"})), {3}),
        (MetricsSelection(night=NIGHT), {1, 2}),
        (MetricsSelection(visits=frozenset({1}), bands=frozenset({"g"})), set()),
    ],
)
def test_every_condition_must_hold(selection, wanted) -> None:
    records = [
        metrics_of(1, midpointMjdTai=60_000.2),
        metrics_of(2, detector=7, midpointMjdTai=60_000.2),
        metrics_of(3, band="g", midpointMjdTai=60_001.2),
    ]
    assert {one.visit for one in records if selection.holds(one)} == wanted


def update(diaObjectId, ra, dec, **fluxes):
    return DiaObjectUpdate(
        diaObjectId, {"diaObjectId": diaObjectId, "ra": ra, "dec": dec, "nDiaSources": 1, **fluxes}
    )


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (ObjectSelection(), {1, 2, 3}),
        (ObjectSelection(ids=frozenset({2, 3})), {2, 3}),
        # Across the meridian, and at the pole.
        (ObjectSelection(cone=Cone(0.0, 0.0, 0.02)), {1}),
        (ObjectSelection(cone=Cone(200.0, 90.0, 0.2)), {2}),
        (ObjectSelection(bands=frozenset({"g"})), {2}),
        (ObjectSelection(bands=frozenset({"r"})), {1}),
    ],
)
def test_objects_by_id_place_and_band(selection, wanted: set[int]) -> None:
    records = [
        update(1, 359.99, 0.0, r_psfFluxMean=5.0, g_psfFluxMean=None),
        update(2, 20.0, 89.9, g_psfFluxMean=5.0),
        DiaObjectUpdate(3, None),
    ]
    assert {one.diaObjectId for one in records if selection.holds(one)} == wanted


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (ForcedSourceSelection(), {1, 2}),
        (ForcedSourceSelection(ids=frozenset({2})), {2}),
        (ForcedSourceSelection(visits=frozenset({10})), {1}),
        (ForcedSourceSelection(detectors=frozenset({5})), {2}),
        (ForcedSourceSelection(bands=frozenset({"g"})), {1}),
    ],
)
def test_forced_sources_by_object_visit_detector_and_band(selection, wanted: set[int]) -> None:
    names = ("diaObjectId", "visit", "detector", "band")
    records = [ForcedSource(dict(zip(names, row, strict=True))) for row in ((1, 10, 4, "g"), (2, 11, 5, "r"))]
    assert {one.diaObjectId for one in records if selection.holds(one)} == wanted
