from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from stream_assoc.core.model.times import day_obs
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import separation_arcsec, unit_vectors
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import dia_source_ids, simulate
from stream_assoc.tools.simulation.telescope import plan_visits
from stream_assoc.tools.transform.columns import measured_schema
from stream_assoc.tools.transform.footprints import TangentPlane

SMALL = SimulationConfig(n_visits=6, n_detectors=4, n_fields=2)
PLACES = [(150.0, 2.2), (0.0, -30.0), (10.0, 90.0), (300.0, -90.0)]


@pytest.fixture(scope="module")
def night():
    return list(simulate(SMALL))


def truth_of(simulated):
    return pa.Table.from_batches([one.truth for one in simulated])


def test_the_same_seed_gives_the_same_bytes(night) -> None:
    encoder = BatchEncoder()
    again = list(simulate(SMALL))
    assert [encoder.encode(one.batch) for one in again] == [encoder.encode(one.batch) for one in night]
    assert truth_of(again).equals(truth_of(night))


def test_another_seed_gives_another_sky(night) -> None:
    other = next(simulate(SMALL.model_copy(update={"seed": 2})))
    assert len(other.batch) != len(night[0].batch)


def test_surveys_of_different_seeds_share_no_visit_and_no_source() -> None:
    nights = [
        list(simulate(SMALL.model_copy(update={"seed": seed, "n_visits": 1, "n_detectors": 1})))
        for seed in (0, 1, 2, 98)
    ]
    visits = [one.batch.id.visit for night in nights for one in night]
    sources = np.concatenate([one.batch.diaSourceId for night in nights for one in night])
    assert len(set(visits)) == len(visits) == 4
    assert len(np.unique(sources)) == len(sources)


@pytest.mark.parametrize("n_visits", [1, 6, 800])
def test_a_visit_is_numbered_by_the_night_of_its_exposure(n_visits: int) -> None:
    config = SimulationConfig(n_visits=n_visits, n_nights=2)
    survey = TangentPlane.at(unit_vectors([config.ra], [config.dec])[0])
    for visit in plan_visits(config, survey):
        assert visit.visit // 100_000 == day_obs(visit.midpointMjdTai)


def test_batches_come_in_time_order_one_for_each_visit_and_detector(night) -> None:
    keys = [(one.batch.midpointMjdTai, one.batch.id.detector) for one in night]
    assert keys == sorted(keys)
    assert len({one.batch.id for one in night}) == len(night) == 24


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_every_source_is_on_its_detector(ra, dec) -> None:
    for one in simulate(SimulationConfig(n_visits=2, n_detectors=4, ra=ra, dec=dec)):
        batch = one.batch
        assert len(batch) > 50
        footprint = ConvexFootprint.from_vertices(batch.footprint)
        assert footprint.contains(batch.column("ra"), batch.column("dec"), 1e-6).all()
        assert ((batch.column("x") >= 0.0) & (batch.column("x") <= 4000.0)).all()


def test_identifiers_are_unique_and_beyond_a_float(night) -> None:
    ids = np.concatenate([one.batch.diaSourceId for one in night])
    assert len(np.unique(ids)) == len(ids)
    assert ids.min() > 2**53
    assert truth_of(night).column("diaSourceId").to_numpy().tolist() == ids.tolist()


def test_an_identifier_that_would_overflow_is_refused() -> None:
    assert dia_source_ids(2198123199999, 255, 1)[0] > 2**62
    with pytest.raises(ValueError, match="lower the densities"):
        dia_source_ids(2025010100001, 0, 2**14)
    with pytest.raises(ValueError, match="detector 256"):
        dia_source_ids(2025010100001, 256, 1)


def test_messages_survive_the_stream(night) -> None:
    encoder, decoder = BatchEncoder(), BatchDecoder()
    for one in night:
        read = decoder.decode(encoder.encode(one.batch))
        assert read.diaSources.equals(one.batch.diaSources)
        np.testing.assert_array_equal(read.footprint, one.batch.footprint)
        assert read.solar_system_objects.ssObjectId.tolist() == one.batch.solar_system_objects.ssObjectId.tolist()
        assert one.batch.diaSources.schema.equals(measured_schema())


def test_a_night_is_seen_in_pairs_half_an_hour_apart_in_two_bands() -> None:
    config = SimulationConfig(n_visits=100, n_detectors=1, variables=0, transients=0, asteroids=0, artifacts=0)
    visits = [one.batch for one in simulate(config)]
    by_pointing = defaultdict(list)
    for batch in visits:
        by_pointing[batch.footprint.tobytes()].append(batch)
    assert len(by_pointing) == 50
    for first, second in by_pointing.values():
        assert (first.band, second.band) == ("g", "r")
        assert (second.midpointMjdTai - first.midpointMjdTai) * 1440.0 == pytest.approx(33.0, abs=0.1)


def test_neighbouring_detectors_overlap_and_measure_independently() -> None:
    config = SimulationConfig(
        n_visits=1, n_detectors=4, overlap_arcsec=20.0, asteroids=0, artifacts=0, variables=40_000
    )
    measured = defaultdict(list)
    for one in simulate(config):
        for truth_id, ra, dec in zip(
            one.truth.column("truth_id").to_pylist(), one.batch.column("ra"), one.batch.column("dec"), strict=True
        ):
            measured[truth_id].append((ra, dec))
    twice = [places for places in measured.values() if len(places) > 1]
    assert len(twice) > 20
    assert all(first != second for first, second, *_ in twice)


def test_positions_scatter_by_their_errors(night) -> None:
    deviations = []
    for one in night:
        batch = one.batch
        deviations.append((batch.column("ra") - one.truth.column("ra").to_numpy()) / batch.column("raErr"))
        deviations.append((batch.column("dec") - one.truth.column("dec").to_numpy()) / batch.column("decErr"))
    assert np.std(np.concatenate(deviations)) == pytest.approx(1.0, abs=0.03)


def test_only_what_is_significant_is_detected(night) -> None:
    assert all((one.batch.column("snr") > 5.0).all() for one in night)


def test_artifacts_are_seen_once_and_are_often_flagged(night) -> None:
    truth = truth_of(night).to_pandas()
    artifacts = truth[truth["kind"] == "artifact"]
    assert (artifacts["truth_id"] == artifacts["diaSourceId"]).all()
    flagged = sum(int(np.nansum(one.batch.column("pixelFlags_crCenter"))) for one in night)
    assert 0.05 * len(artifacts) < flagged < 0.2 * len(artifacts)


def test_known_asteroids_are_predicted_where_they_are_seen(night) -> None:
    checked = 0
    for one in night:
        predicted = one.batch.solar_system_objects
        place = dict(zip(predicted.ssObjectId.tolist(), zip(predicted.ra, predicted.dec, strict=True), strict=True))
        for row in one.truth.to_pylist():
            if row["ssObjectId"] in place:
                ra, dec = place[row["ssObjectId"]]
                assert separation_arcsec([row["ra"]], [row["dec"]], [ra], [dec])[0] < 1.0
                checked += 1
    assert checked > 30


def test_asteroids_move_and_stars_stay(night) -> None:
    places = defaultdict(list)
    for one in night:
        for row in one.truth.to_pylist():
            places[row["kind"], row["truth_id"]].append((row["ra"], row["dec"], one.batch.midpointMjdTai))
    moved: Counter[str] = Counter()
    for (kind, _), seen in places.items():
        (ra1, dec1, begin), (ra2, dec2, end) = seen[0], seen[-1]
        if end > begin:
            shift = separation_arcsec([ra1], [dec1], [ra2], [dec2])[0]
            speed = shift / 3600.0 / (end - begin)
            assert 0.09 < speed < 0.41 if kind == "asteroid" else shift < 1e-4
            moved[kind] += 1
    assert moved["asteroid"] > 20
    assert moved["variable"] > 100
    assert moved["artifact"] == 0


@pytest.mark.parametrize(
    "wrong",
    [{"n_detectors": 0}, {"night_bands": (("g", "w"),)}, {"night_bands": ()}, {"n_visits": 5000}, {"n_visit": 3}],
)
def test_an_impossible_survey_is_refused(
    wrong: dict[str, Any] | dict[str, int] | dict[str, tuple[tuple[str, str]]],
) -> None:
    with pytest.raises(ValidationError):
        SimulationConfig(**wrong)
