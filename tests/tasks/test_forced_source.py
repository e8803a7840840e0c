"""Forced photometry as a task: nothing without a photometer."""

import pyarrow as pa
import pytest

from stream_assoc.model.objects import ObjectPositions
from stream_assoc.photometry.port import no_forced_sources
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.forced_source import DiaForcedSourcedConfig, DiaForcedSourceTask
from tests.pipeline.skies import batch


@pytest.mark.parametrize("config", [None, DiaForcedSourcedConfig()])
def test_without_a_photometer_there_is_no_task(config):
    with pytest.raises(TaskConfigError, match=r"needs DiaForcedSourcedConfig\.photometer"):
        DiaForcedSourceTask(config)


def test_the_photometer_measures():
    asked = []

    class Empty:
        def measure(self, *arguments):
            asked.append(arguments)
            return no_forced_sources()

    one, objects = batch(1, [150.0], [2.0]), ObjectPositions.empty()
    rows = DiaForcedSourceTask(DiaForcedSourcedConfig(Empty())).run(one, objects, 62_000.0)
    assert asked == [(one, objects, 62_000.0)]
    assert rows.columns.tolist() == DiaForcedSourceTask.schema().names
    assert DiaForcedSourceTask.schema().field("diaObjectId").type == pa.int64()
