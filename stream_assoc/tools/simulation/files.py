"""Simulated surveys on disk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stream_assoc.tools.replay.capture import CaptureWriter
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.detections import LIGHT_SCHEMA
from stream_assoc.tools.simulation.night import SimulatedBatch, simulate
from stream_assoc.tools.simulation.truth import TRUTH_SCHEMA

CAPTURE_NAME: Final = "batches.avro"
TRUTH_NAME: Final = "truth.parquet"
CONFIG_NAME: Final = "simulation.json"
LIGHT_NAME: Final = "light.parquet"
IMAGES_NAME: Final = "images"


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What was written: `n_batches`, `n_sources` and `n_bytes` of message values."""

    n_batches: int
    n_sources: int
    n_bytes: int


def write_simulation(config: SimulationConfig, folder: Path, messages: BatchMessages) -> SimulationReport:
    """Simulate a survey into a folder: its messages, its truth and its parameters.

    Parameters
    ----------
    config : `SimulationConfig`
    folder : `pathlib.Path`
        Made when missing. Its `CAPTURE_NAME`, `TRUTH_NAME` and `CONFIG_NAME`
        are overwritten; with images, `LIGHT_NAME` and those in `IMAGES_NAME` too.
    messages : `~stream_assoc.tools.replay.messages.BatchMessages`
        Makes messages of batches.

    Returns
    -------
    report : `SimulationReport`
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_NAME).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    n_batches = n_sources = n_bytes = 0
    with (
        CaptureWriter(folder / CAPTURE_NAME) as capture,
        pq.ParquetWriter(folder / TRUTH_NAME, TRUTH_SCHEMA, compression="zstd") as truth,
    ):
        for simulated in _exposed(config, folder) if config.image_pixels else simulate(config):
            event = messages.event(simulated.batch)
            capture.write(event)
            truth.write_batch(simulated.truth)
            n_batches += 1
            n_sources += len(simulated.batch)
            n_bytes += len(event.message.value or b"")
    return SimulationReport(n_batches, n_sources, n_bytes)


def _exposed(config: SimulationConfig, folder: Path) -> Iterator[SimulatedBatch]:
    """Simulate a survey, writing images and what they show."""
    # astropy takes half a second.
    from stream_assoc.tools.simulation.images import DetectorImages, with_images

    images = folder / IMAGES_NAME
    images.mkdir(exist_ok=True)
    with pq.ParquetWriter(folder / LIGHT_NAME, LIGHT_SCHEMA, compression="zstd") as light:
        for simulated in simulate(config):
            if simulated.exposed is not None:
                light.write_batch(simulated.exposed.light.rows(simulated.batch.id))
                named = with_images(simulated.batch, DetectorImages(config, simulated.exposed), images)
                yield replace(simulated, batch=named)


def read_light(folder: Path) -> pa.Table:
    """Return what shines in the images of a simulated survey, in `LIGHT_SCHEMA`."""
    return pq.read_table(folder / LIGHT_NAME)


def read_truth(folder: Path) -> pa.Table:
    """Return the truth table of a simulated survey."""
    return pq.read_table(folder / TRUTH_NAME)


def read_config(folder: Path) -> SimulationConfig:
    """Return the parameters that a simulated survey was made with."""
    return SimulationConfig.model_validate_json((folder / CONFIG_NAME).read_text(encoding="utf-8"))
