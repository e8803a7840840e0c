"""Forced photometry as a task: nothing without a photometer."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from stream_assoc.core.exceptions import InvalidBatchError
from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.photometry.exceptions import ImageRefusedError
from stream_assoc.settings.images import ImageSettings
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.forced_source import DiaForcedSourcedConfig, DiaForcedSourceTask
from tests.pipeline.photometers import Photometer, with_images
from tests.pipeline.skies import batch


@pytest.mark.parametrize("config", [None, DiaForcedSourcedConfig()])
def test_without_a_photometer_there_is_no_task(config) -> None:
    with pytest.raises(TaskConfigError, match=r"needs DiaForcedSourcedConfig\.images\.roots"):
        DiaForcedSourceTask(config)


def test_the_photometer_measures() -> None:
    objects = ObjectPositions.empty()
    photometer = Photometer()
    task = DiaForcedSourceTask(DiaForcedSourcedConfig(photometer=photometer))
    rows = task.run(with_images(batch(1, [150.0], [2.0])), objects, 62_000.0)
    assert photometer.seen == [[]]
    assert rows.columns.tolist() == DiaForcedSourceTask.schema().names
    assert DiaForcedSourceTask.schema().field("diaObjectId").type == pa.int64()


def test_a_batch_without_images_has_no_rows() -> None:
    photometer = Photometer()
    task = DiaForcedSourceTask(DiaForcedSourcedConfig(photometer=photometer))
    rows = task.run(batch(1, [150.0], [2.0]), ObjectPositions.empty(), 62_000.0)
    assert (len(rows), rows.columns.tolist()) == (0, DiaForcedSourceTask.schema().names)
    assert photometer.seen == []


def test_what_is_out_of_range_is_refused() -> None:
    task = DiaForcedSourceTask(DiaForcedSourcedConfig(photometer=Photometer()))
    one = with_images(batch(1, [150.0], [2.0]))
    with pytest.raises(TaskConfigError, match="timeProcessedMjdTai is 2461002"):
        task.run(one, ObjectPositions.empty(), 2_461_002.5)
    with pytest.raises(InvalidBatchError, match="visit 1 detector 40000"):
        task.run(replace(one, id=BatchId(1, 40_000)), ObjectPositions.empty(), 62_000.0)


def test_images_are_read_below_the_roots(tmp_path: Path) -> None:
    task = DiaForcedSourceTask(DiaForcedSourcedConfig(ImageSettings(roots=(str(tmp_path),))))
    with pytest.raises(ImageRefusedError, match=r"not below any of images\.roots"):
        task.run(with_images(batch(1, [150.0], [2.0])), ObjectPositions.empty(), 62_000.0)
