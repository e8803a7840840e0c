"""Forced photometry on the image files that batches name."""

import numpy as np
import pyarrow as pa

from stream_assoc.model.batch import Batch
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.types import FloatArray
from stream_assoc.photometry.exceptions import ImageRefusedError, ImageUnreadableError
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.fits import read_exposure
from stream_assoc.photometry.image_roots import ImageRoots
from stream_assoc.photometry.measurement import BAD_PLANES, Weighting, measure
from stream_assoc.photometry.port import no_forced_sources
from stream_assoc.photometry.selection import forced_source_ids


class ImagePhotometer:
    """Measures fluxes on files below the configured roots; a `~stream_assoc.photometry.port.ForcedPhotometer`.

    Parameters
    ----------
    roots : `~stream_assoc.photometry.image_roots.ImageRoots`
        Where images may be read.
    weighting : `~stream_assoc.photometry.measurement.Weighting`
    bad_planes : `tuple` [`str`, ...]
        Mask planes whose pixels are left out.
    """

    def __init__(
        self,
        roots: ImageRoots,
        weighting: Weighting = Weighting.UNIFORM,
        bad_planes: tuple[str, ...] = BAD_PLANES,
    ) -> None:
        self._roots = roots
        self._weighting = weighting
        self._bad_planes = bad_planes

    def measure(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pa.Table:
        """Return one DiaForcedSource for each object; none if the batch names no image.

        Parameters
        ----------
        batch : `~stream_assoc.model.batch.Batch`
            Names the visit, the detector and the images.
        objects : `~stream_assoc.model.objects.ObjectPositions`
            Where to measure; all of them are.
        timeProcessedMjdTai : `float`
            The processing time all rows get.

        Returns
        -------
        forced_sources : `pyarrow.Table`
            In the order of the objects. ``psfFlux`` is that of the difference
            image, ``scienceFlux`` that of the direct one, both nJy; null where
            there is no such image or the position has no good pixel on it.

        Raises
        ------
        ImageError
            If an image must not be read, cannot be, or is of another visit or
            detector. The batch is to be processed without forced sources.
        """
        schema = no_forced_sources().schema
        if batch.images.difference is None and batch.images.science is None:
            return no_forced_sources()
        n_objects = len(objects)
        measured = {
            "psfFlux": self._fluxes(batch, batch.images.difference, objects),
            "scienceFlux": self._fluxes(batch, batch.images.science, objects),
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
        return pa.table(
            [pa.array(columns.get(field.name, [None] * n_objects), field.type, from_pandas=True) for field in schema],
            schema=schema,
        )

    def _fluxes(self, batch: Batch, uri: str | None, objects: ObjectPositions) -> tuple[FloatArray, FloatArray]:
        if uri is None:
            nothing = np.full(len(objects), np.nan)
            return nothing, nothing
        exposure = self._exposure(batch, uri)
        x, y = exposure.pixels_of(objects.ra, objects.dec)
        fluxes = measure(exposure, x, y, self._weighting, self._bad_planes)
        return fluxes.flux, fluxes.error

    def _exposure(self, batch: Batch, uri: str) -> Exposure:
        location = self._roots.resolve(uri)
        if not location.startswith("/"):
            raise ImageRefusedError(f"the image {location!r} is not a file; only files can be read so far")
        exposure = read_exposure(location)
        taken = exposure.visit_info
        if taken.visit not in {None, batch.id.visit} or taken.detector not in {None, batch.id.detector}:
            raise ImageUnreadableError(
                f"the image {location!r} is of visit {taken.visit} and detector {taken.detector}, and the batch of "
                f"{batch.id.visit} and {batch.id.detector}; name the image of the batch"
            )
        return exposure
