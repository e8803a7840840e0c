"""What people see of metrics and objects; reading topics is tested on a real broker in test_tail_topics.py."""

from stream_assoc.apps.cli.views import describe_forced_source, describe_metrics, describe_object

METRICS = {
    "visit": 2026010100012,
    "detector": 94,
    "band": "r",
    "numDiaSources": 10,
    "numAssociatedDiaSources": 5,
    "numAssociatedSsObjects": 1,
    "numNewDiaObjects": 2,
    "numMarginalDiaSources": 1,
    "numDroppedDiaSources": 1,
    "stageSeconds": {"decode": 0.010, "associate": 0.0025},
    "revision": 0,
    "numForcedSources": 0,
    "forcedPhotometryError": None,
}


def test_metrics_are_one_line() -> None:
    assert describe_metrics(METRICS) == (
        "visit 2026010100012 detector 94 r: 10 sources, 5 associated, 1 solar system, 2 new objects, "
        "1 marginal, 1 dropped, 12 ms"
    )


def test_a_reprocessing_tells_what_it_took_back() -> None:
    taken_back = {"revision": 2, "numWithdrawnDiaSources": 9, "numClosedDiaObjects": 3}
    assert describe_metrics(METRICS | taken_back).endswith("12 ms; revision 2, 9 sources withdrawn, 3 objects closed")


def test_what_was_measured_on_images_is_told() -> None:
    assert describe_metrics(METRICS | {"numForcedSources": 7}).endswith("12 ms; 7 forced sources")
    failed = METRICS | {"forcedPhotometryError": "missing"}
    assert describe_metrics(failed).endswith("12 ms; no forced sources: missing")


def test_forced_source_is_one_line() -> None:
    record = {"diaObjectId": 2**60 + 1, "visit": 2026010100012, "detector": 94, "band": "r"}
    fluxes = {"psfFlux": -120.4, "psfFluxErr": 31.2, "scienceFlux": None, "scienceFluxErr": None}
    begin = "1152921504606846977  visit 2026010100012 detector 94 r  "
    assert describe_forced_source(record | fluxes) == begin + "psfFlux -120 ± 31 nJy"
    assert describe_forced_source(record | fluxes | {"psfFlux": None}) == begin + "no flux"


def test_object_is_one_line_with_the_bands_it_was_seen_in() -> None:
    record = {"diaObjectId": 2**60 + 1, "ra": 10.5, "dec": -3.25, "nDiaSources": 3, "g_psfFluxMean": 120.4}
    assert describe_object(record) == "1152921504606846977  10.500000 -3.250000  3 sources  g 120 nJy"
