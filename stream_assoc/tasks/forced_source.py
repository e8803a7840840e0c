"""Forced photometry of DIAObjects, as a task."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pyarrow as pa

from stream_assoc.model.batch import Batch
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.schema import apdb_table
from stream_assoc.photometry.port import ForcedPhotometer
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.tables import data_frame


@dataclass(slots=True)
class DiaForcedSourcedConfig:
    """Settings of `DiaForcedSourceTask`; the spelling is upstream's.

    Attributes
    ----------
    photometer : `~stream_assoc.photometry.port.ForcedPhotometer`
        Measures the fluxes on the images that a batch names.
    """

    photometer: ForcedPhotometer | None = None


class DiaForcedSourceTask:
    """Measures fluxes at the positions of DIAObjects on the difference and science images.

    Parameters
    ----------
    config : `DiaForcedSourcedConfig`
        Must name a photometer.

    Raises
    ------
    TaskConfigError
        If it names none.
    """

    ConfigClass: ClassVar = DiaForcedSourcedConfig

    def __init__(self, config: DiaForcedSourcedConfig | None = None) -> None:
        photometer = None if config is None else config.photometer
        if photometer is None:
            raise TaskConfigError(
                "DiaForcedSourceTask needs DiaForcedSourcedConfig.photometer, which measures fluxes on images; "
                "without one leave forced sources out"
            )
        self._photometer = photometer

    @staticmethod
    def schema() -> pa.Schema:
        """Return the DiaForcedSource table as an Arrow schema, units and descriptions in the metadata."""
        return apdb_table("DiaForcedSource").arrow_schema()

    def run(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pd.DataFrame:
        """Return DiaForcedSource rows of these objects.

        Parameters
        ----------
        batch : `~stream_assoc.model.batch.Batch`
            Names the visit, the detector and the images.
        objects : `~stream_assoc.model.objects.ObjectPositions`
            Where to measure, degrees.
        timeProcessedMjdTai : `float`
            Processing time of the rows, MJD TAI.

        Returns
        -------
        forced_sources : `pandas.DataFrame`
            The columns of `schema`; fluxes in nJy.
        """
        return data_frame(self._photometer.measure(batch, objects, timeProcessedMjdTai))
