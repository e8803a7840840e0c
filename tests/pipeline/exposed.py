"""A small simulated night with images."""

from collections.abc import Callable, Sequence
from pathlib import Path

from stream_assoc.core.model.batch import Batch
from stream_assoc.tools.simulation.images import DetectorImages, with_images
from stream_assoc.tools.simulation.night import SimulatedBatch, simulate
from tests.pipeline.skies import SMALL_NIGHT

CONFIG = SMALL_NIGHT.model_copy(update={"image_pixels": 256})


def exposed_night(folder: Path, has_images: Callable[[Batch], bool] = lambda _: True) -> list[Batch]:
    """Return the batches of the small night; the images of those that have some are in the folder."""
    return [_batch(one, folder) if has_images(one.batch) else one.batch for one in simulate(CONFIG)]


def _batch(simulated: SimulatedBatch, folder: Path) -> Batch:
    assert simulated.exposed is not None
    return with_images(simulated.batch, DetectorImages(CONFIG, simulated.exposed), folder)


def image_files(folder: Path, one: Batch) -> Sequence[Path]:
    """Return the images of a batch."""
    return sorted(folder.glob(f"{one.id.visit}-{one.id.detector}-*.fits"))
