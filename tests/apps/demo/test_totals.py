"""The totals of forced sources are right, and find wrong fluxes."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from stream_assoc.apps.demo.stage import APDB_FILE
from stream_assoc.apps.demo.totals import GREATEST_BIAS, _within, count_forced_sources, pulls
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.simulation.files import CAPTURE_NAME, IMAGES_NAME, write_simulation
from tests.pipeline.bench import process, services_in
from tests.pipeline.exposed import CONFIG
from tests.pipeline.test_forced import n_forced

NIGHT = CONFIG.model_copy(update={"n_visits": 4})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory):
    """A night that has been measured."""
    folder = tmp_path_factory.mktemp("measured")
    write_simulation(NIGHT, folder, BatchMessages("dia-sources"))
    services = services_in(folder, images={"roots": (str(folder / IMAGES_NAME),)})
    outcomes = process(
        services, *(BatchDecoder().decode(one.message.value) for one in read_capture(folder / CAPTURE_NAME))
    )
    services.apdb.close()
    assert count_forced_sources(folder) == n_forced(outcomes) > 0
    return folder


@pytest.fixture
def folder(measured, tmp_path: Path):
    """The same night, to be spoiled."""
    return shutil.copytree(measured, tmp_path / "night")


def account(folder):
    found = pulls(folder)
    return [
        _within("mean", found.mean, 0.0, GREATEST_BIAS, found.n).is_right,
        _within("width", found.width, 1.0, GREATEST_BIAS, found.n).is_right,
    ]


def change(folder, assignment) -> None:
    with contextlib.closing(sqlite3.connect(folder / APDB_FILE)) as connection, connection:
        connection.execute(f'UPDATE "DiaForcedSource" SET {assignment}')


def test_measured_fluxes_are_found_right(folder) -> None:
    assert account(folder) == [True, True]


def test_a_bias_and_wrong_errors_are_found(folder) -> None:
    change(folder, '"psfFlux" = "psfFlux" + 0.6 * "psfFluxErr"')
    assert account(folder)[0] is False
    change(folder, '"psfFlux" = "psfFlux" - 0.6 * "psfFluxErr", "scienceFluxErr" = 3 * "scienceFluxErr"')
    assert account(folder) == [True, False]


def test_no_measurement_is_not_right(folder) -> None:
    change(folder, '"psfFlux" = NULL')
    assert account(folder) == [False, False]
