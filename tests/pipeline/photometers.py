"""Photometers that need no image: a flux is a function of the object and the visit."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import Batch, ImageUris
from stream_assoc.core.model.forced import forced_source_ids
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.schema import apdb_table
from stream_assoc.photometry.exceptions import ImageMissingError
from stream_assoc.pipeline.ports.photometry import SelectionConfig

IMAGES = ImageUris("/images/difference.fits", "/images/science.fits")


def with_images(batch: Batch) -> Batch:
    return replace(batch, images=IMAGES)


@dataclass
class Photometer:
    """Measures everywhere; its images are missing for some visits. It notes whom it was given, visit by visit."""

    missing: Collection[int] = ()
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    seen: list[list[int]] = field(default_factory=list)
    n_loaded: int = 0

    def load(self, batch: Batch) -> "Photometer | None":
        if not batch.images.named:
            return None
        self.n_loaded += 1
        if batch.id.visit in self.missing:
            raise ImageMissingError("the image is gone")
        return self

    def contains(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        return np.ones(len(ra), np.bool_)

    def measure(self, batch: Batch, objects: ObjectPositions, timeProcessedMjdTai: float) -> pa.Table:
        self.seen.append(sorted(objects.diaObjectId.tolist()))
        n = len(objects)
        fluxes = np.array([flux(batch, identifier) for identifier in objects.diaObjectId.tolist()]).reshape(n, 2)
        values = {
            "diaForcedSourceId": forced_source_ids(batch.id, objects.diaObjectId),
            "diaObjectId": objects.diaObjectId,
            "visit": np.full(n, batch.id.visit),
            "detector": np.full(n, batch.id.detector),
            "ra": objects.ra,
            "dec": objects.dec,
            "band": [batch.band] * n,
            "midpointMjdTai": np.full(n, batch.midpointMjdTai),
            "timeProcessedMjdTai": np.full(n, timeProcessedMjdTai),
            "psfFlux": fluxes[:, 0],
            "psfFluxErr": fluxes[:, 1],
        }
        schema = apdb_table("DiaForcedSource").arrow_schema()
        columns = [
            pa.array(values[one.name], from_pandas=True).cast(one.type)
            if one.name in values
            else pa.nulls(n, one.type)
            for one in schema
        ]
        return pa.Table.from_arrays(columns, schema=schema)


def flux(batch: Batch, diaObjectId: int) -> tuple[float, float]:
    """Return a flux and its error; one of eleven is missing."""
    digest = hashlib.sha256(f"{batch.id} {batch.digest.hex()} {diaObjectId}".encode()).digest()
    value = 1000.0 + int.from_bytes(digest[:2], "big") / 100.0
    return (np.nan, np.nan) if digest[2] % 11 == 0 else (value, 1.0 + digest[3] / 64.0)
