from pathlib import Path

import pytest

from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.files import CAPTURE_NAME, TRUTH_NAME, read_config, read_truth, write_simulation
from stream_assoc.tools.simulation.truth import TRUTH_SCHEMA

CONFIG = SimulationConfig(n_visits=3, n_detectors=2, seed=5)


@pytest.fixture
def folder(tmp_path: Path):
    write_simulation(CONFIG, tmp_path / "night", BatchMessages("dia-sources"))
    return tmp_path / "night"


def test_what_is_written_is_read_back(folder) -> None:
    events = list(read_capture(folder / CAPTURE_NAME))
    batches = [BatchDecoder().decode(event.message.value) for event in events]
    assert [event.midpointMjdTai for event in events] == [batch.midpointMjdTai for batch in batches]
    truth = read_truth(folder)
    assert truth.schema.equals(TRUTH_SCHEMA)
    assert truth.column("diaSourceId").to_pylist() == [one for batch in batches for one in batch.diaSourceId.tolist()]
    assert read_config(folder) == CONFIG


def test_the_report_counts_what_was_written(tmp_path: Path) -> None:
    report = write_simulation(CONFIG, tmp_path, BatchMessages("dia-sources"))
    assert (report.n_batches, report.n_sources) == (6, read_truth(tmp_path).num_rows)
    assert report.n_bytes == sum(len(event.message.value or b"") for event in read_capture(tmp_path / CAPTURE_NAME))


def test_the_same_seed_gives_the_same_files(folder, tmp_path: Path) -> None:
    write_simulation(CONFIG, tmp_path / "again", BatchMessages("dia-sources"))
    for name in (CAPTURE_NAME, TRUTH_NAME):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
