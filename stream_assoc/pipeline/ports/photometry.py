"""What the pipeline asks of forced photometry."""

import functools
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """Settings of the selection; the defaults are upstream's.

    Attributes
    ----------
    history_threshold : `int`
        Least number of sources of an object that this visit did not see.
    good_sources : `GoodSources`
        What one of them must be like.
    """

    history_threshold: int = 2
    good_sources: GoodSources = field(default_factory=GoodSources)


class BatchImages(Protocol):
    """The images of a batch, read and ready to be measured on."""

    def contains(self, ra: FloatArray, dec: FloatArray) -> BoolArray:
        """Tell which positions, in degrees, lie on the images."""

    def measure(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pa.Table:
        """Return DiaForcedSource rows for these objects.

        Parameters
        ----------
        batch : `~stream_assoc.core.model.batch.Batch`
            Tells visit, detector, band and time.
        objects : `~stream_assoc.core.model.objects.ObjectPositions`
            Where to measure; all of them are.
        timeProcessedMjdTai : `float`
            The processing time all rows get.

        Returns
        -------
        forced_sources : `pyarrow.Table`
            Rows in the schema of `no_forced_sources`, in the order of the
            objects; fluxes in nJy.
        """


class ForcedPhotometer(Protocol):
    """Reads the images that batches name, to measure fluxes at fixed positions."""

    @property
    def selection(self) -> SelectionConfig:
        """Which objects are worth measuring."""

    def load(self, batch: Batch) -> BatchImages | None:
        """Return the images of a batch; `None` if it names none.

        Raises
        ------
        ImageError
            If they cannot be measured on. The batch is to be processed without forced sources.
        """


@functools.cache
def no_forced_sources() -> pa.Table:
    """Return an empty table of DiaForcedSources, every column in its Rubin type."""
    return apdb_table("DiaForcedSource").arrow_schema().empty_table()
