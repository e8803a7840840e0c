"""What the pipeline asks of forced photometry."""

import functools
from typing import Protocol

import pyarrow as pa

from stream_assoc.model.batch import Batch
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.schema import apdb_table


class ForcedPhotometer(Protocol):
    """Measures fluxes at fixed positions on the images a batch names."""

    def measure(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pa.Table:
        """Return DiaForcedSource rows for these objects.

        Parameters
        ----------
        batch : `Batch`
            Names the visit, the detector and the images.
        objects : `ObjectPositions`
            Every object in the footprint as the batch leaves it, new ones included.
        timeProcessedMjdTai : `float`
            The processing time all rows get.

        Returns
        -------
        forced_sources : `pyarrow.Table`
            Rows in the schema of `no_forced_sources`; fluxes in nJy.
        """


@functools.cache
def no_forced_sources() -> pa.Table:
    """Return an empty table of DiaForcedSources, every column in its Rubin type."""
    return apdb_table("DiaForcedSource").arrow_schema().empty_table()
