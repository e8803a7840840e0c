"""One visit after the other through the task: upstream's ids and numbers, and the daemon's promises."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stream_assoc.core.exceptions import InvalidBatchError, TooManyNewObjectsError
from stream_assoc.core.model.batch import BatchId, SolarSystemObjects
from stream_assoc.pipeline.batches import Processed
from stream_assoc.settings import Settings
from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.settings.operation import DaemonSettings
from stream_assoc.settings.science import AssociationSettings, NewObjectSettings, SkySettings, StatisticsSettings
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.tasks.dia_pipeline import DiaPipelineTask
from stream_assoc.tasks.dia_pipeline_config import UPSTREAM_HISTORY_WINDOW, DiaPipelineConfig
from stream_assoc.tasks.exceptions import CatalogError, ExposureError, TaskConfigError, VisitProcessedError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.forced_source import DiaForcedSourcedConfig
from stream_assoc.tasks.load import LoadDiaCatalogsConfig, LoadDiaCatalogsTask
from stream_assoc.tasks.metrics import TotalUnassociatedDiaObjectsMetricTask
from tests.contents import contents
from tests.pipeline.bench import APDB_FILE, process
from tests.pipeline.exposed import exposed_night, image_files
from tests.pipeline.photometers import IMAGES, Photometer
from tests.pipeline.skies import BIG, MJD, apdb_url, batch, night, pinned_services, position, process_from, square
from tests.pipeline.test_golden_pipeline import (
    DATA,
    DETECTOR,
    EXPECTED_OBJECTS,
    EXPECTED_SOURCES,
    INFO,
    footprint,
    sources_of_objects_upstream_lost,
)

PIXEL_ARCSEC = 0.1838
NewTask: TypeAlias = Callable[..., DiaPipelineTask]

EDGE_PIXELS = 1.5
"""From the border of the outermost pixel to the centre of the first pixel that upstream keeps."""


@pytest.fixture
def new_task(tmp_path: Path):
    """Make tasks on one empty APDB."""
    pinned_services(tmp_path).apdb.close()
    tasks = []

    def make(**settings):
        tasks.append(DiaPipelineTask(DiaPipelineConfig(apdb_url=apdb_url(tmp_path), **settings)))
        return tasks[-1]

    yield make
    for task in tasks:
        task.close()


def exposure_of(visit):
    return Exposure(visit["visit"], DETECTOR, visit["band"], visit["mjd"], footprint(), exposureTime=30.0)


def run_golden(task):
    """Return the result of each of the ten visits, given as pandas tables."""
    sources = pd.read_parquet(DATA / "dia_sources.parquet")
    return [task.run(sources[sources.visit == visit["visit"]], exposure_of(visit)) for visit in INFO]


def associated(results):
    rows = pd.concat([result.associatedDiaSources for result in results])
    assert rows.diaObjectId.dtype == "Int64"
    return rows.set_index("diaSourceId").diaObjectId.astype("int64").sort_index()


EXPECTED_IDS = EXPECTED_SOURCES.set_index("diaSourceId").diaObjectId.sort_index()


def test_every_source_joins_the_object_upstream_gave_it(new_task) -> None:
    ours = associated(run_golden(new_task()))
    excepted = sources_of_objects_upstream_lost()
    pd.testing.assert_series_equal(ours.drop(excepted), EXPECTED_IDS.drop(excepted))


@pytest.fixture
def upstream_like(new_task):
    return run_golden(new_task(history_window=UPSTREAM_HISTORY_WINDOW, purge_edge=EDGE_PIXELS * PIXEL_ARCSEC))


def test_with_upstream_s_edge_all_ids_are_upstream_s(upstream_like) -> None:
    pd.testing.assert_series_equal(associated(upstream_like), EXPECTED_IDS)


def test_with_upstream_s_edge_the_counts_are_upstream_s(upstream_like) -> None:
    for result, visit in zip(upstream_like, INFO, strict=True):
        assert len(result.diaObjects) == visit["nStoredObjects"]
        assert len(result.marginalDiaSources) == visit["nMarginalRejected"]
        assert len(result.newDiaSources) == visit["nNew"]
        assert result.metrics.numNewDiaObjects == visit["nNew"]
        assert result.metrics.numUpdatedDiaObjects == visit["nUpdatedOld"]
        assert result.metrics.numUnassociatedDiaObjects == visit["nUnassociatedOld"]


def test_with_upstream_s_window_every_statistic_is_upstream_s(upstream_like) -> None:
    columns = [name for name in EXPECTED_OBJECTS.columns if name not in ("visit", "diaObjectId")]
    compared = 0
    for result, visit in zip(upstream_like, INFO, strict=True):
        expected = EXPECTED_OBJECTS[EXPECTED_OBJECTS.visit == visit["visit"]].set_index("diaObjectId").sort_index()
        ours = result.diaObjects.set_index("diaObjectId").sort_index()
        pd.testing.assert_index_equal(ours.index, expected.index)
        # A band that no source within the window has is not computed by upstream: it keeps what the row had before.
        bands = {other["band"] for other in INFO if other["nInput"] and 0 <= visit["mjd"] - other["mjd"] < 360}
        for name in columns:
            if name[1] == "_" and name[0] not in bands:
                continue
            wanted = expected[name].astype(float).fillna(0.0 if name.endswith("Ndata") else np.nan)
            np.testing.assert_allclose(
                ours[name].astype(float),
                wanted,
                rtol=1e-9 if name in ("ra", "dec", "nDiaSources") else 3e-6,
                err_msg=f"{name} after visit {visit['visit']}",
            )
            compared += len(wanted)
    assert compared > 30_000


def test_with_limits_the_total_is_what_the_database_counts(new_task, upstream_like, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / APDB_FILE) as connection:
        counted = connection.execute('SELECT count(*) FROM "DiaObjectLast" WHERE "nDiaSources" = 1').fetchone()[0]
    assert upstream_like[-1].metrics.totalUnassociatedDiaObjects == counted


def test_the_task_stores_what_the_daemon_stores(new_task: NewTask, tmp_path: Path) -> None:
    services = pinned_services(tmp_path / "daemon")
    task = new_task(pin_clock_mjd=62_000.0)
    for one in night()[:4]:
        (outcome,) = process(services, one)
        assert isinstance(outcome, Processed)
        services.apdb.mark_published([outcome.key])
        task.run_batch(one)
    services.apdb.close()
    assert contents(apdb_url(tmp_path)) == contents(apdb_url(tmp_path / "daemon"))


def test_the_metrics_are_the_daemon_s(new_task: NewTask, tmp_path: Path) -> None:
    services = pinned_services(tmp_path / "daemon")
    task = new_task(pin_clock_mjd=62_000.0)
    for one in night()[:3]:
        (outcome,) = process(services, one)
        assert isinstance(outcome, Processed)
        assert task.run_batch(one).metrics == outcome.metrics
    services.apdb.close()


def test_nothing_is_left_in_the_outbox(new_task, tmp_path: Path) -> None:
    new_task().run_batch(batch(1, [150.0], [2.0]))
    apdb = open_apdb(apdb_url(tmp_path))
    assert apdb.unpublished() == []
    apdb.close()


def test_a_visit_counts_once(new_task, tmp_path: Path) -> None:
    task, one = new_task(), batch(1, [150.0], [2.0])
    task.run_batch(one)
    before = contents(apdb_url(tmp_path))
    with pytest.raises(VisitProcessedError, match="visit 1 detector 0 was processed before"):
        task.run_batch(one)
    assert contents(apdb_url(tmp_path)) == before


def test_the_outputs_of_a_daemon_s_message_are_left_to_it(new_task, tmp_path: Path) -> None:
    services, one = pinned_services(tmp_path), batch(1, [150.0], [2.0])
    process_from(services, 7, one)
    with pytest.raises(VisitProcessedError):
        new_task().run_batch(one)
    assert [entry.entry.position for entry in services.apdb.unpublished()] == [position(7)]
    services.apdb.close()


def test_a_refused_visit_changes_nothing(new_task, tmp_path: Path) -> None:
    task = new_task(maxNewDiaObjects=1)
    before = contents(apdb_url(tmp_path))
    with pytest.raises(TooManyNewObjectsError, match="max_new_dia_objects = 1"):
        task.run_batch(batch(1, [150.0, 150.01], [2.0, 2.0]))
    assert contents(apdb_url(tmp_path)) == before


def small_table(**columns):
    return pd.DataFrame(
        {
            "diaSourceId": [BIG + 1, BIG + 2],
            "ra": [150.0, 150.01],
            "dec": [2.0, 2.0],
            "x": [1.0, 2.0],
            "y": [1.0, 2.0],
        }
        | columns
    )


SMALL_EXPOSURE = Exposure(1, 2, "r", MJD, square(150.0, 2.0))


@pytest.mark.parametrize("convert", [lambda frame: frame, pa.Table.from_pandas], ids=["pandas", "arrow"])
def test_large_identifiers_survive(new_task, convert) -> None:
    result = new_task().run(convert(small_table()), SMALL_EXPOSURE)
    assert result.associatedDiaSources.diaSourceId.tolist() == [BIG + 1, BIG + 2]
    assert result.diaObjects.diaObjectId.tolist() == [BIG + 1, BIG + 2]
    assert result.associatedDiaSources.diaSourceId.dtype == "int64"
    assert result.associatedDiaSources.ssObjectId.dtype == "Int64"


def test_identifiers_in_floats_are_refused(new_task) -> None:
    with pytest.raises(CatalogError, match="'diaSourceId' is an identifier"):
        new_task().run(small_table(diaSourceId=[1.0, 2.0]), SMALL_EXPOSURE)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([0, BIG], "diaSourceId 0 is not positive"), ([-1, 5], "-1 is not positive"), ([BIG, BIG], "more than once")],
)
def test_identifiers_that_name_nothing_are_refused(new_task: NewTask, ids: list[int], message: str) -> None:
    task = new_task()
    with pytest.raises(CatalogError, match=f"visit 1 detector 2: .*{message}"):
        task.run(small_table(diaSourceId=ids), SMALL_EXPOSURE)
    assert len(task.run(small_table(), SMALL_EXPOSURE).diaObjects) == 2


def test_a_batch_is_checked_as_a_message_is(new_task: NewTask) -> None:
    task = new_task()
    for changes in ({"id": BatchId(1, 40_000)}, {"midpointMjdTai": 2_461_002.5}, {"exposureTime": -1.0}):
        with pytest.raises(InvalidBatchError, match="visit 1 detector"):
            task.run_batch(replace(batch(1, [150.0], [2.0]), **changes))


def test_a_source_without_a_position_harms_no_other(new_task) -> None:
    result = new_task().run(small_table(ra=[np.nan, 150.01]), SMALL_EXPOSURE)
    assert result.associatedDiaSources.diaSourceId.tolist() == [BIG + 2]
    assert result.metrics.numDroppedDiaSources == 1
    assert result.marginalDiaSources.empty


def test_solar_system_objects_claim_their_sources(new_task) -> None:
    moving = pd.DataFrame({"ssObjectId": [BIG + 11, BIG + 12], "ra": [150.0, 150.05], "dec": [2.0, 2.0]})
    result = new_task().run(small_table(), SMALL_EXPOSURE, moving)
    assert result.associatedSsSources.ssObjectId.tolist() == [BIG + 11]
    assert result.unassociatedSsObjects.ssObjectId.tolist() == [BIG + 12]
    assert result.metrics.numAssociatedSsObjects == 1
    assert result.newDiaSources.diaSourceId.tolist() == [BIG + 2]


def test_predictions_that_name_no_object_are_set_aside(new_task: NewTask) -> None:
    moving = pd.DataFrame({"ssObjectId": [0, -1, BIG, BIG], "ra": [150.0] * 4, "dec": [2.0, 2.0, 2.0, 2.01]})
    result = new_task().run(small_table(), SMALL_EXPOSURE, moving)
    assert (len(result.newDiaSources), len(result.associatedSsSources), len(result.unassociatedSsObjects)) == (
        2,
        0,
        0,
    )
    assert (result.metrics.numTotalSolarSystemObjects, result.metrics.numDroppedSsObjects) == (4, 4)


def test_sources_that_come_identified_keep_their_solar_system_object(new_task: NewTask) -> None:
    """pandas makes floats of integers with gaps; NaN and 0 are none."""
    task = new_task()
    result = task.run(small_table(ssObjectId=pd.array([BIG + 11, None], "Int64")), SMALL_EXPOSURE)
    assert result.associatedSsSources.ssObjectId.tolist() == [BIG + 11]
    assert result.newDiaSources.diaSourceId.tolist() == [BIG + 2]
    other = replace(SMALL_EXPOSURE, visit=2)
    result = task.run(small_table(ssObjectId=[np.nan, 7.0], diaSourceId=[BIG + 3, BIG + 4]), other)
    assert result.associatedSsSources.ssObjectId.tolist() == [7]
    with pytest.raises(CatalogError, match="'ssObjectId' is an identifier"):
        task.run(small_table(ssObjectId=[2.0**60, np.nan]), SMALL_EXPOSURE)
    ignoring = new_task(keepSolarSystemIds=False)
    table = small_table(ssObjectId=[5, 6], diaSourceId=[BIG + 5, BIG + 6])
    assert ignoring.run(table, replace(SMALL_EXPOSURE, visit=3)).associatedSsSources.empty


def test_a_prediction_without_an_identifier_harms_no_other(new_task: NewTask) -> None:
    ids = pd.array([None, BIG + 11], dtype="Int64")
    moving = pd.DataFrame({"ssObjectId": ids, "ra": [150.01, 150.0], "dec": [2.0, 2.0]})
    result = new_task().run(small_table(), SMALL_EXPOSURE, moving)
    assert result.associatedSsSources.ssObjectId.tolist() == [BIG + 11]
    assert (result.metrics.numDroppedSsObjects, len(result.newDiaSources)) == (1, 1)


def test_solar_system_association_may_be_left_out(new_task) -> None:
    moving = SolarSystemObjects(np.array([BIG]), np.array([150.0]), np.array([2.0]))
    one = replace(batch(1, [150.0], [2.0]), solar_system_objects=moving)
    result = new_task(doSolarSystemAssociation=False).run_batch(one)
    assert len(result.diaObjects) == 1
    assert result.associatedSsSources.empty


def test_unfiltered_sources_all_become_objects(new_task) -> None:
    table = small_table(reliability=[0.01, 0.9])
    result = new_task(filterUnAssociatedSources=False).run(table, SMALL_EXPOSURE)
    assert len(result.diaObjects) == 2


def test_forced_sources_come_from_the_photometer(new_task) -> None:
    exposure = replace(SMALL_EXPOSURE, images=IMAGES)
    forced = DiaForcedSourcedConfig(photometer=Photometer())
    result = new_task(diaForcedSource=forced).run(small_table(), exposure)
    assert sorted(result.diaForcedSources.diaObjectId) == [BIG + 1, BIG + 2]
    by_object = result.diaForcedSources.set_index("diaObjectId").psfFlux
    means = result.diaObjects.set_index("diaObjectId")[f"{exposure.band}_fpFluxMean"]
    assert means.to_dict() == pytest.approx(by_object.to_dict(), nan_ok=True)
    assert result.metrics.numForcedSources == 2


def test_images_below_the_roots_are_measured(new_task, tmp_path: Path) -> None:
    first, second, *_ = exposed_night(tmp_path)
    image_files(tmp_path, second)[0].unlink()
    forced = DiaForcedSourcedConfig(ImageSettings(roots=(str(tmp_path),)))
    with new_task(diaForcedSource=forced) as task:
        assert "diaForcedSources" in task.config.connections().outputs
        measured, missed = task.run_batch(first), task.run_batch(second)
    assert sorted(measured.diaForcedSources.diaObjectId) == sorted(measured.diaObjects.diaObjectId)
    assert measured.diaForcedSources.psfFlux.notna().all()
    assert measured.diaObjects[f"{first.band}_fpFluxMean"].notna().all()
    assert (len(missed.diaForcedSources), missed.metrics.forcedPhotometryError) == (0, "missing")
    assert len(missed.diaObjects) > 0


def test_forced_sources_can_be_left_out(new_task) -> None:
    forced = DiaForcedSourcedConfig(photometer=Photometer())
    task = new_task(diaForcedSource=forced, doRunForcedMeasurement=False)
    assert task.run(small_table(), replace(SMALL_EXPOSURE, images=IMAGES)).diaForcedSources.empty


@pytest.mark.parametrize("settings", [{"history_window": 0.0}, {"purge_edge": -1.0}, {"purge_edge": np.nan}])
def test_impossible_limits_are_refused(new_task, settings: dict[str, float]) -> None:
    with pytest.raises(TaskConfigError, match=next(iter(settings))):
        new_task(**settings)


def test_a_band_that_is_not_valid_is_refused(new_task) -> None:
    with pytest.raises(ExposureError, match="'r' is not among validBands, g"):
        new_task(validBands=("g",)).run(small_table(), SMALL_EXPOSURE)


def test_settings_and_configuration_say_the_same() -> None:
    settings = Settings(
        association=AssociationSettings(max_distance_arcsec=0.7, solar_system_radius_arcsec=0.4),
        new_objects=NewObjectSettings(min_snr=5.0, min_reliability=0.3),
        statistics=StatisticsSettings(plugins=("ap_meanFlux",)),
        sky=SkySettings(tile_level=9, angle_margin_arcsec=5.0),
        daemon=DaemonSettings(pin_clock_mjd=62_000.0),
        images=ImageSettings(roots=("/images",), attempts=2),
        forced_photometry=ForcedPhotometrySettings(history_threshold=3),
    )
    again = DiaPipelineConfig.from_settings(settings).settings()
    assert again == settings


def test_connections_follow_the_configuration() -> None:
    everything = DiaPipelineConfig().connections()
    assert everything.inputs["diaSourceTable"].name == "{fakesType}{coaddName}Diff_diaSrcTable"
    assert "diaForcedSources" not in everything.outputs
    alone = DiaPipelineConfig(doSolarSystemAssociation=False, filterUnAssociatedSources=False).connections()
    assert "solarSystemObjectTable" not in alone.inputs
    assert {"associatedSsSources", "marginalDiaSources"}.isdisjoint(alone.outputs)


def test_a_secret_in_the_url_is_not_shown() -> None:
    assert "secret" not in repr(DiaPipelineConfig(apdb_url="postgresql://user:secret@host/database"))


@pytest.mark.integration
def test_the_tasks_work_on_postgresql(postgresql_database: str) -> None:
    init(postgresql_database, "apdb")
    one = batch(1, [150.0], [2.0])
    place: dict[str, Any] = {"apdb_url": postgresql_database, "apdb_namespace": "apdb"}
    with DiaPipelineTask(DiaPipelineConfig(**place, history_window=UPSTREAM_HISTORY_WINDOW)) as task:
        result = task.run_batch(one)
    loaded = LoadDiaCatalogsTask(LoadDiaCatalogsConfig(**place)).run(Exposure(2, 0, "r", MJD + 1, one.footprint))
    assert loaded.diaObjects.diaObjectId.tolist() == result.diaObjects.diaObjectId.tolist()
    assert loaded.diaSources.diaSourceId.tolist() == one.diaSourceId.tolist()
    apdb = open_apdb(postgresql_database, "apdb")
    assert TotalUnassociatedDiaObjectsMetricTask().run_apdb(apdb).value == 1
    assert apdb.unpublished() == []
    apdb.close()
