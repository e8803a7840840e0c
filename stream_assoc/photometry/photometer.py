"""Forced photometry on the images that batches name."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.floats import finite
from stream_assoc.core.model.forced import forced_source_ids
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import BoolArray, FloatArray
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.image_store import ImageStore
from stream_assoc.photometry.measurement import BAD_PLANES, Weighting, measure
from stream_assoc.pipeline.ports.photometry import SelectionConfig, no_forced_sources


@dataclass(frozen=True, slots=True)
class MeasurementConfig:
    """How fluxes are measured.

    Attributes
    ----------
    weighting : `~stream_assoc.photometry.measurement.Weighting`
    bad_planes : `tuple` [`str`, ...]
        Mask planes whose pixels are left out.
    """

    weighting: Weighting = Weighting.UNIFORM
    bad_planes: tuple[str, ...] = BAD_PLANES


_DEFAULT: Final = MeasurementConfig()


@dataclass(frozen=True, slots=True)
class ExposurePair:
    """The difference image and the science image of a batch; a `~stream_assoc.pipeline.ports.photometry.BatchImages`.

    Attributes
    ----------
    difference, science : `~stream_assoc.photometry.exposure.Exposure` or `None`
        One of them at least.
    config : `MeasurementConfig`
    """

    difference: Exposure | None
    science: Exposure | None
    config: MeasurementConfig = _DEFAULT

    def contains(self, ra: FloatArray, dec: FloatArray) -> BoolArray:
        """Tell which positions, in degrees, lie on every image there is."""
        inside = np.ones(len(ra), np.bool_)
        for exposure in (self.difference, self.science):
            if exposure is not None:
                inside &= exposure.contains(ra, dec)
        return inside

    def measure(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pa.Table:
        """Return one DiaForcedSource for each object; see `BatchImages.measure`.

        ``psfFlux`` is that of the difference image, ``scienceFlux`` that of
        the direct one; null where there is no such image or the position has
        no good pixel on it.
        """
        n_objects = len(objects)
        measured = {
            "psfFlux": self._fluxes(self.difference, objects),
            "scienceFlux": self._fluxes(self.science, objects),
        }
        columns = {
            "diaForcedSourceId": forced_source_ids(batch.id, objects.diaObjectId),
            "diaObjectId": objects.diaObjectId,
            "ra": objects.ra,
            "dec": objects.dec,
            "visit": np.full(n_objects, batch.id.visit),
            "detector": np.full(n_objects, batch.id.detector),
            "midpointMjdTai": np.full(n_objects, batch.midpointMjdTai),
            "band": [batch.band] * n_objects,
            "timeProcessedMjdTai": np.full(n_objects, timeProcessedMjdTai),
            **{name: flux for name, (flux, _) in measured.items()},
            **{f"{name}Err": error for name, (_, error) in measured.items()},
        }
        schema = no_forced_sources().schema
        return pa.table(
            [_column(columns.get(field.name), field, n_objects) for field in schema],
            schema=schema,
        )

    def _fluxes(self, exposure: Exposure | None, objects: ObjectPositions) -> tuple[FloatArray, FloatArray]:
        if exposure is None:
            nothing = np.full(len(objects), np.nan)
            return nothing, nothing
        x, y = exposure.pixels_of(objects.ra, objects.dec)
        fluxes = measure(exposure, x, y, self.config.weighting, self.config.bad_planes)
        return fluxes.flux, fluxes.error


def _column(values: Any, field: pa.Field, n_rows: int) -> pa.Array:  # noqa: ANN401 - arrays and lists of text
    """Return a column, null where there is nothing, or a number that the type cannot hold."""
    if values is None:
        return pa.nulls(n_rows, field.type)
    return (
        finite(values, field.type)
        if field.nullable and pa.types.is_floating(field.type)
        else pa.array(values, field.type)
    )


class ImagePhotometer:
    """Measures fluxes on the images below the configured roots; the pipeline's `ForcedPhotometer`.

    Parameters
    ----------
    store : `~stream_assoc.photometry.image_store.ImageStore`
        Where images are read from.
    selection : `~stream_assoc.pipeline.ports.photometry.SelectionConfig`, optional
        Which objects are measured.
    measurement : `MeasurementConfig`, optional
        How.
    """

    def __init__(
        self,
        store: ImageStore,
        selection: SelectionConfig | None = None,
        measurement: MeasurementConfig = _DEFAULT,
    ) -> None:
        self._store = store
        self._measurement = measurement
        self.selection = selection or SelectionConfig()

    def load(self, batch: Batch) -> ExposurePair | None:
        """Return the images of a batch; `None` if it names none.

        Raises
        ------
        ImageError
            If an image must not be read, cannot be, or is of another visit,
            detector or band. The batch is to be processed without forced sources.
        """
        if not batch.images.named:
            return None
        difference, science = (
            None if uri is None else self._exposure(batch, uri)
            for uri in (batch.images.difference, batch.images.science)
        )
        return ExposurePair(difference, science, self._measurement)

    def _exposure(self, batch: Batch, uri: str) -> Exposure:
        exposure = self._store.read(uri)
        exposure.visit_info.check(uri, batch.id, batch.band)
        return exposure
