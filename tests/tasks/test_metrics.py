"""Metrics with units: the daemon's numbers."""

from collections.abc import Iterator
from pathlib import Path

import astropy.units as u
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.pipeline.batches import Processed
from stream_assoc.pipeline.services import Services
from stream_assoc.tasks import metrics as tasks
from tests.pipeline.bench import process
from tests.pipeline.skies import batch, night, pinned_services

TASKS = (
    tasks.NumberNewDiaObjectsMetricTask,
    tasks.NumberUnassociatedDiaObjectsMetricTask,
    tasks.FractionUpdatedDiaObjectsMetricTask,
    tasks.TotalUnassociatedDiaObjectsMetricTask,
    tasks.NumberSolarSystemObjectsMetricTask,
    tasks.NumberAssociatedSolarSystemObjectsMetricTask,
)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = pinned_services(tmp_path)
    yield services
    services.apdb.close()


def processed(services: Services, one: Batch) -> Processed:
    (outcome,) = process(services, one)
    assert isinstance(outcome, Processed)
    return outcome


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_is_the_field_that_the_daemon_publishes(services, task) -> None:
    *_, outcome = [processed(services, one) for one in night()[:3]]
    measured = task().run(outcome.metrics)
    assert measured.value == getattr(outcome.metrics, task.metric)
    assert measured.unit == (u.dimensionless_unscaled if task.metric.startswith("frac") else u.count)


@pytest.mark.parametrize("task", TASKS)
def test_no_association_is_no_metric(task) -> None:
    assert task().run(None) is None


def test_a_fraction_of_nothing_is_none_and_of_something_a_number(services: Services) -> None:
    fraction = tasks.FractionUpdatedDiaObjectsMetricTask()
    first, second = (processed(services, batch(visit, [150.0], [2.0])) for visit in (1, 2))
    assert fraction.run(first.metrics) is None
    assert fraction.run(second.metrics) == 1.0 * u.dimensionless_unscaled


def test_the_total_of_the_database_is_that_of_its_last_batch(services: Services) -> None:
    task = tasks.TotalUnassociatedDiaObjectsMetricTask()
    assert task.run_apdb(services.apdb) == 0 * u.count
    *_, outcome = [processed(services, one) for one in night()[:4]]
    assert task.run_apdb(services.apdb) == task.run(outcome.metrics)
