"""A batch that has arrived, and the sky it needs."""

from dataclasses import dataclass, field

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.pipeline.exceptions import ImageError
from stream_assoc.pipeline.ports.photometry import BatchImages
from stream_assoc.pipeline.region import BatchRegion


@dataclass(frozen=True, slots=True)
class Arrival:
    """A decoded batch and the sky it needs.

    Attributes
    ----------
    batch : `Batch`
    region : `BatchRegion`
        From `region_of`.
    position : `InputPosition` or `None`
        The message it came in; `None` when it did not come from Kafka.
    seconds : `dict` [`str`, `float`]
        What earlier stages took.
    unlimited : `bool`
        Whether it may create any number of objects: a person has looked at it.
    reprocessing : `bool`
        Whether it may take the place of an earlier processing of its visit and
        detector: its producer, or a person, has said so.
    images : `BatchImages` or `None`
        What can be measured on, once it has been read.
    image_error : `ImageError` or `None`
        Why there is nothing, where the batch names images.
    """

    batch: Batch
    region: BatchRegion
    position: InputPosition | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    unlimited: bool = False
    reprocessing: bool = False
    images: BatchImages | None = None
    image_error: ImageError | None = None
