"""What is loaded around an exposure: the right sky, the right time, whole identifiers."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.load import LoadDiaCatalogsConfig, LoadDiaCatalogsTask
from tests.pipeline.bench import APDB_FILE, process
from tests.pipeline.skies import BIG, MJD, apdb_url, batch, offset, pinned_services, square

HALF_WIDTH = 0.1 * 3600.0
"""Of the exposure, arcsec."""


@pytest.fixture
def sky(tmp_path: Path):
    """An APDB with an object inside of the exposure, and one 10, one 30 arcsec outside."""
    services = pinned_services(tmp_path)
    places = [offset(150.0, 2.0, east, 0.0) for east in (0.0, HALF_WIDTH + 10.0, HALF_WIDTH + 30.0)]
    for visit in (1, 2, 500):
        process(services, batch(visit, [ra for ra, _ in places], [dec for _, dec in places]))
    services.apdb.close()
    return tmp_path


def first_id(row):
    """Return the identifier of an object: that of its source in visit 1."""
    return BIG + 1_000_000 + row


def load(sky, mjd=MJD + 2, **settings):
    exposure = Exposure(3, 0, "r", mjd, square(150.0, 2.0))
    return LoadDiaCatalogsTask(LoadDiaCatalogsConfig(apdb_url=apdb_url(sky), **settings)).run(exposure)


def test_the_region_is_padded_by_the_margin(sky) -> None:
    assert sorted(load(sky).diaObjects.diaObjectId) == [first_id(0), first_id(1)]
    assert sorted(load(sky, angleMargin=0.0).diaObjects.diaObjectId) == [first_id(0)]
    assert len(load(sky, angleMargin=60.0).diaObjects) == 3


def test_history_reaches_up_to_the_midpoint(sky) -> None:
    sources = load(sky).diaSources
    assert sorted(sources.visit) == [1, 1, 2, 2]


@pytest.mark.parametrize(("window", "visits"), [(360.0, {500}), (498.5, {2, 500}), (None, {1, 2, 500})])
def test_history_reaches_back_as_far_as_the_window(sky, window: float | None, visits: set[int]) -> None:
    assert set(load(sky, MJD + 500, history_window=window).diaSources.visit) == visits


def test_identifiers_are_whole(sky) -> None:
    catalogs = load(sky)
    assert catalogs.diaObjects.diaObjectId.dtype == "int64"
    assert catalogs.diaSources.diaSourceId.dtype == "int64"
    for name in ("diaObjectId", "ssObjectId", "parentDiaSourceId"):
        assert catalogs.diaSources[name].dtype == "Int64"
    assert set(catalogs.diaSources.diaObjectId) == {first_id(0), first_id(1)}


def test_indexes_are_upstream_s(sky) -> None:
    catalogs = load(sky)
    assert catalogs.diaObjects.index.name == "diaObjectId"
    assert catalogs.diaSources.index.names == ["diaObjectId", "band", "diaSourceId"]
    assert catalogs.diaForcedSources.index.names == ["diaObjectId", "diaForcedSourceId"]


def test_withdrawn_sources_are_left_out(sky) -> None:
    with closing(sqlite3.connect(sky / APDB_FILE)) as connection, connection:
        connection.execute('UPDATE "DiaSource" SET "timeWithdrawnMjdTai" = 62000 WHERE visit = 1')
    assert set(load(sky).diaSources.visit) == {2}


@pytest.fixture
def forced(sky):
    with closing(sqlite3.connect(sky / APDB_FILE)) as connection, connection:
        for number, mjd in enumerate((MJD + 1, MJD + 3)):
            connection.execute(
                'INSERT INTO "DiaForcedSource" ("diaForcedSourceId", "diaObjectId", ra, dec, visit, detector, '
                '"midpointMjdTai", band, "timeProcessedMjdTai") VALUES (?, ?, 150, 2, ?, 0, ?, \'r\', 62000)',
                (BIG + number, first_id(0), number, mjd),
            )
    return sky


def test_forced_sources_are_loaded_if_wanted(forced) -> None:
    assert load(forced).diaForcedSources.diaForcedSourceId.tolist() == [BIG]
    assert load(forced, doLoadForcedSources=False).diaForcedSources.empty


def test_an_empty_sky_has_the_same_columns(sky) -> None:
    task = LoadDiaCatalogsTask(LoadDiaCatalogsConfig(apdb_url=apdb_url(sky)))
    nothing = task.run(Exposure(3, 0, "r", MJD, square(10.0, -40.0)))
    full = load(sky)
    assert nothing.diaObjects.empty
    assert nothing.diaSources.dtypes.equals(full.diaSources.dtypes)


@pytest.mark.parametrize("settings", [{"angleMargin": -1.0}, {"history_window": 0.0}])
def test_impossible_settings_are_refused(sky, settings: dict[str, float]) -> None:
    with pytest.raises(TaskConfigError, match=next(iter(settings))):
        load(sky, **settings)


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ApdbConfigurationError):
        LoadDiaCatalogsTask(LoadDiaCatalogsConfig(apdb_url="mysql://host/database"))
