"""Explanations of small skies whose reasons are known, and of a whole night."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.core.association.associator import AssociationConfig, Associator
from stream_assoc.core.model.batch import SolarSystemObjects
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.reading.port import AnswerTooLargeError, NotStoredError
from stream_assoc.tools.explanation.explain import explain
from tests.pipeline.skies import ARCSEC, BIG, batch, night, position, process_from, square
from tests.stores.apdb.reading.stored import services_at

RA, DEC = 150.0, 2.0


def stars(visit, places, ids, **columns):
    """Sources this many arcsec north of a point."""
    n = len(places)
    north = [DEC + place * ARCSEC for place in places]
    return batch(visit, [RA] * n, north, ids=[BIG + one for one in ids], footprint=square(RA, DEC), **columns)


def reprocess(services, offset, one):
    (outcome,) = process_batches([arrive(one, services, position(offset), reprocessing=True)], services)
    return outcome


def test_the_only_object_within_reach(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0, 30.0], [1, 2]), stars(2, [0.3, 30.0], [3, 4]))
    told = explained(BIG + 3)
    assert (told.verdict, told.agrees, told.margin, told.mode) == ("joined", True, None, "nll")
    (candidate,) = told.candidates
    assert candidate.is_match
    assert candidate.diaObjectId == BIG + 1
    assert candidate.separation_arcsec == pytest.approx(0.3, abs=1e-6)
    assert candidate.delta_dec_arcsec == pytest.approx(0.3, abs=1e-6)
    assert candidate.sigma_dec_arcsec == pytest.approx(np.hypot(0.05, 0.05), rel=1e-5)
    assert candidate.nDiaSources == 1
    assert candidate.matched_diaSourceId == BIG + 3
    assert told.unmatched_cost == pytest.approx(candidate.score + 1.0)
    assert "0.300 arcsec away, the only object within the match radius" in told.summary
    assert told.limits == ()


def test_a_source_that_nothing_was_near_founded_its_object(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.0, 5.0], [2, 3]))
    for identifier in (BIG + 1, BIG + 3):
        told = explained(identifier)
        assert (told.verdict, told.agrees, told.candidates) == ("founded", True, ())
        assert f"it created DIAObject {identifier}" in told.summary


def test_the_runner_up_is_told_with_its_margin(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0, 0.9], [1, 2]), stars(2, [0.2], [3]))
    told = explained(BIG + 3)
    assert [one.diaObjectId - BIG for one in told.candidates] == [1, 2]
    assert [one.is_match for one in told.candidates] == [True, False]
    assert told.candidates[1].matched_diaSourceId is None
    assert told.margin == pytest.approx(told.candidates[1].score - told.candidates[0].score)
    assert "of 1 other object within the match radius the best scores worse by" in told.summary


def test_a_source_that_gave_its_nearest_object_up_says_so(services, explained) -> None:
    # Both want the object at 0.5, which is the only one for the other; the far pair makes it dear to be alone.
    process_from(services, 0, stars(1, [-0.1, 0.5, 60.0], [1, 2, 9]), stars(2, [0.3, 1.3, 60.95], [3, 4, 8]))
    told = explained(BIG + 3)
    assert (told.source.diaObjectId, told.agrees) == (BIG + 1, True)
    assert told.margin is not None
    assert told.margin < 0
    assert told.candidates[0].matched_diaSourceId == BIG + 4
    assert "one scores better" in told.summary


def test_a_founder_whose_neighbour_was_taken(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.1, 0.8], [2, 3]))
    told = explained(BIG + 3)
    assert (told.verdict, told.agrees, len(told.candidates)) == ("founded", True, 1)
    assert told.candidates[0].matched_diaSourceId == BIG + 2
    assert "each was a better match for another source" in told.summary


def test_a_solar_system_object_took_it(services, explained) -> None:
    known = SolarSystemObjects(np.array([BIG + 77]), np.array([RA]), np.array([DEC]))
    process_from(services, 0, stars(1, [0.1], [1], solar_system_objects=known))
    told = explained(BIG + 1)
    assert (told.verdict, told.agrees, told.object_is_open) == ("solar_system", None, None)
    assert f"solar-system object {BIG + 77}" in told.summary
    assert "not stored" in told.limits[0]


def test_sources_that_were_not_stored_are_owned_up_to(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0, 30.0, 60.0], [1, 2, 3], reliability=[0.9, 0.01, 0.9]))
    told = explained(BIG + 1)
    assert (told.batch.n_sources, told.batch.n_stored, told.batch.n_found) == (3, 2, 2)
    assert "1 of the 3 sources of the batch were marginal" in told.limits[0]
    with pytest.raises(NotStoredError, match="not good enough"):
        explained(BIG + 2)


def test_chords_are_told_where_no_errors_are_known(services, explained) -> None:
    nothing = {"raErr": [np.nan], "decErr": [np.nan]}
    process_from(services, 0, stars(1, [0.0], [1], **nothing), stars(2, [0.2], [2], **nothing))
    told = explained(BIG + 2)
    assert (told.mode, told.agrees) == ("chord", True)
    assert told.source.raErr is None
    assert told.candidates[0].sigma_ra_arcsec is None


def test_a_withdrawn_source_is_explained_as_it_was(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.2], [2]))
    reprocess(services, 2, stars(2, [0.4], [3]))
    told = explained(BIG + 2)
    assert (told.verdict, told.agrees, told.batch.revision, told.batch.latest_revision) == ("joined", True, 0, 1)
    assert told.source.timeWithdrawnMjdTai is not None
    assert "withdrawn" in told.summary


def test_a_reprocessing_met_the_sky_without_what_it_replaced(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.6], [2]))
    # With the old source the mean position is 0.3, without it 0; the new source is 0.9 from the latter.
    reprocess(services, 2, stars(2, [0.9], [3]))
    told = explained(BIG + 3)
    assert (told.verdict, told.agrees, told.batch.revision) == ("joined", True, 1)
    assert told.candidates[0].separation_arcsec == pytest.approx(0.9, abs=1e-6)
    assert told.candidates[0].nDiaSources == 1
    assert "processing 2 of its visit" in told.summary
    assert any("averaged again" in limit for limit in told.limits)


def test_an_object_that_lost_all_its_sources_is_no_candidate_of_the_reprocessing(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0], [1]))
    reprocess(services, 1, stars(1, [0.1], [2]))
    new, old = explained(BIG + 2), explained(BIG + 1)
    assert (new.verdict, new.agrees, new.candidates) == ("founded", True, ())
    assert (old.object_is_open, new.object_is_open) == (False, True)
    assert "has been closed since" in old.summary


def test_rows_that_a_reprocessing_replaced_are_missed(services, explained) -> None:
    process_from(services, 0, stars(1, [0.0, 9.0], [1, 2]))
    reprocess(services, 1, stars(1, [0.0, 30.0], [1, 3]))
    told = explained(BIG + 2)
    assert (told.batch.n_stored, told.batch.n_found) == (2, 1)
    assert any("replaced by a later processing" in limit for limit in told.limits)


def test_other_settings_than_then_are_noticed(services, tmp_path: Path) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.7], [2]))
    reader = open_reader(f"sqlite:///{tmp_path / 'apdb.sqlite3'}")
    strict = Associator(AssociationConfig(max_distance_arcsec=0.5))
    told = explain(BIG + 2, reader, strict)
    reader.close()
    assert (told.verdict, told.agrees, told.candidates) == ("joined", False, ())
    assert "the recomputation finds no object for it" in told.summary
    assert any("[association]" in limit for limit in told.limits)


def test_a_source_without_a_ledger_entry_is_explained_with_a_warning(services, explained, tmp_path: Path) -> None:
    import sqlite3

    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.1], [2]))
    with sqlite3.connect(tmp_path / "apdb.sqlite3") as connection:
        connection.execute('DELETE FROM "StreamAssocLedger"')
    told = explained(BIG + 2)
    assert (told.agrees, told.batch.revision, told.batch.latest_revision) == (True, None, None)
    assert "no entry" in told.limits[0]


def test_an_unknown_source_is_told(explained) -> None:
    with pytest.raises(NotStoredError, match=f"no source {BIG + 5}"):
        explained(BIG + 5)


def test_a_batch_of_too_many_sources_is_not_associated_again(
    services, explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_from(services, 0, stars(1, [0.0, 30.0], [1, 2]))
    monkeypatch.setattr("stream_assoc.tools.explanation.past._MOST_SOURCES", 2)
    assert explained(BIG + 1).verdict == "founded"
    monkeypatch.setattr("stream_assoc.tools.explanation.past._MOST_SOURCES", 1)
    with pytest.raises(AnswerTooLargeError, match="visit 1 detector 0 has more than 1 stored sources"):
        explained(BIG + 1)


def test_objects_of_too_many_sources_are_not_averaged_again(
    services, explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_from(services, 0, stars(1, [0.0], [1]), stars(2, [0.1], [2]))
    reprocess(services, 2, stars(2, [0.1], [3]))
    monkeypatch.setattr("stream_assoc.tools.explanation.past.MAX_ROWS", 4)
    assert explained(BIG + 3).verdict == "joined"
    monkeypatch.setattr("stream_assoc.tools.explanation.past.MAX_ROWS", 2)
    with pytest.raises(AnswerTooLargeError, match="too many to average again"):
        explained(BIG + 3)


@pytest.mark.parametrize(
    "kind", ["sqlite", *(pytest.param(kind, marks=pytest.mark.integration) for kind in ("postgresql", "cassandra"))]
)
def test_every_third_source_of_a_night_comes_out_as_it_is_stored(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    stored = request.getfixturevalue(f"{kind}_night")
    reader, associator = open_reader(stored.url), Associator()
    verdicts: Counter[str] = Counter()
    for one in night():
        ids = reader.sources_of_batch(one.id)["diaSourceId"].to_pylist()
        for identifier in ids[:: 3 if kind == "sqlite" else 30]:
            told = explain(identifier, reader, associator)
            assert told.agrees is not False, dataclasses.asdict(told)
            verdicts[told.verdict] += 1
    reader.close()
    assert set(verdicts) == {"joined", "founded", "solar_system"}


def test_overlapping_detectors_in_one_micro_batch_are_told_apart(tmp_path: Path) -> None:
    """Batches of one transaction meet the sky that the one before them left."""
    from stream_assoc.stores.apdb.create import init

    url = f"sqlite:///{tmp_path / 'micro-batch.db'}"
    init(url)
    services = services_at(url)
    process_from(
        services, 0, stars(1, [0.0], [1]), stars(1, [0.3], [2], detector=1), stars(1, [0.4], [3], detector=2)
    )
    services.apdb.close()
    reader = open_reader(url)
    told = [explain(BIG + n, reader, Associator()) for n in (1, 2, 3)]
    reader.close()
    assert [one.verdict for one in told] == ["founded", "joined", "joined"]
    assert all(one.agrees for one in told)
    assert told[2].candidates[0].separation_arcsec == pytest.approx(0.25, abs=1e-6)
