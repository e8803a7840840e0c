"""Forced photometry of DIAObjects, as a task."""

from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd
import pyarrow as pa

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.batch_checks import check_batch
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.model.times import checked_mjd
from stream_assoc.pipeline.ports.photometry import ForcedPhotometer, no_forced_sources
from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.tables import data_frame
from stream_assoc.wiring.pipeline import photometer_of


@dataclass(slots=True)
class DiaForcedSourcedConfig:
    """Settings of `DiaForcedSourceTask`; the spelling is upstream's.

    Attributes
    ----------
    images : `~stream_assoc.settings.images.ImageSettings`
        Where images may be read; the daemon's section ``images``.
    measurement : `~stream_assoc.settings.images.ForcedPhotometrySettings`
        Which objects are measured, and how; the daemon's section
        ``forced_photometry``. Upstream's ``historyThreshold`` is its
        ``history_threshold``.
    photometer : `~stream_assoc.pipeline.ports.photometry.ForcedPhotometer`, optional
        Measures in place of what the two say.
    """

    images: ImageSettings = field(default_factory=ImageSettings)
    measurement: ForcedPhotometrySettings = field(default_factory=ForcedPhotometrySettings)
    photometer: ForcedPhotometer | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is anything to measure on."""
        return self.photometer is not None or bool(self.images.roots)


class DiaForcedSourceTask:
    """Measures fluxes at the positions of DIAObjects on the difference and science images.

    Parameters
    ----------
    config : `DiaForcedSourcedConfig`
        Must name places where images may be, or a photometer.

    Raises
    ------
    TaskConfigError
        If it names neither.
    ImageRootError
        If one of the places is no place where images could be.
    """

    ConfigClass: ClassVar = DiaForcedSourcedConfig

    def __init__(self, config: DiaForcedSourcedConfig | None = None) -> None:
        config = config or DiaForcedSourcedConfig()
        photometer = config.photometer or photometer_of(config.images, config.measurement)
        if photometer is None:
            raise TaskConfigError(
                "DiaForcedSourceTask needs DiaForcedSourcedConfig.images.roots, which tell where images may be, or a "
                "photometer; without either leave forced sources out"
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
        batch : `~stream_assoc.core.model.batch.Batch`
            Names the visit, the detector and the images.
        objects : `~stream_assoc.core.model.objects.ObjectPositions`
            Where to measure, degrees.
        timeProcessedMjdTai : `float`
            Processing time of the rows, MJD TAI.

        Returns
        -------
        forced_sources : `pandas.DataFrame`
            The columns of `schema`; fluxes in nJy. Empty if the batch names no image.

        Raises
        ------
        ImageError
            If an image cannot be measured on.
        InvalidBatchError
            If something in the batch is out of range.
        TaskConfigError
            If the processing time is no MJD.
        """
        check_batch(batch)
        try:
            checked_mjd(timeProcessedMjdTai, "timeProcessedMjdTai")
        except ValueError as error:
            raise TaskConfigError(str(error)) from None
        images = self._photometer.load(batch)
        measured = no_forced_sources() if images is None else images.measure(batch, objects, timeProcessedMjdTai)
        return data_frame(measured)
