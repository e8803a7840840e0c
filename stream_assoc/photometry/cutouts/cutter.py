"""Cuts the stamps of alerts from the images that their batch names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stream_assoc.core.model.alerts import Stamps
from stream_assoc.core.model.batch import BatchId, ImageUris
from stream_assoc.photometry.cutouts.boxes import Sources, boxes_of
from stream_assoc.photometry.cutouts.files import written
from stream_assoc.photometry.exceptions import ImageUnavailableError
from stream_assoc.photometry.exposure import Exposure, VisitInfo
from stream_assoc.photometry.image_store import ImageStore
from stream_assoc.pipeline.exceptions import ImageError

OFF_IMAGE: Final = "off_image"
"""The reason of a stamp whose source is not on the image."""


@dataclass(frozen=True, slots=True)
class MissingStamps:
    """Why some alerts lack a stamp of an image that their batch names.

    Attributes
    ----------
    kind : `str`
        ``difference``, ``science`` or ``template``.
    reason : `str`
        That of the `~stream_assoc.pipeline.exceptions.ImageError`, or `OFF_IMAGE`.
    n_stamps : `int`
    message : `str`
        Cause and remedy.
    """

    kind: str
    reason: str
    n_stamps: int
    message: str


@dataclass(frozen=True, slots=True)
class Cutouts:
    """The stamps of some alerts, and why there are not more.

    Attributes
    ----------
    stamps : `~stream_assoc.core.model.alerts.Stamps`
        Null throughout for an image that the batch does not name.
    missing : `tuple` [`MissingStamps`, ...]
        At most one for each kind.
    """

    stamps: Stamps
    missing: tuple[MissingStamps, ...]


@dataclass(frozen=True, slots=True)
class BatchImages:
    """The images of a batch, read: cut as often as the alerts of the batch come in parts.

    Attributes
    ----------
    images : `~collections.abc.Mapping` [`str`, `Exposure` or `ImageError`]
        By kind, those that the batch names: the image, or why there is none.
    """

    images: Mapping[str, Exposure | ImageError]

    @property
    def are_complete(self) -> bool:
        """Whether reading them again would give no more: the store of none of them failed to answer."""
        return not any(isinstance(image, ImageUnavailableError) for image in self.images.values())

    def cut(self, rows: pa.Table) -> Cutouts:
        """Return the stamps of some sources.

        Parameters
        ----------
        rows : `pyarrow.Table`, length n
            Rows of DiaSource; ``ra``, ``dec``, ``x``, ``y`` and ``bboxSize`` are read.
        """
        sources = Sources.of(rows)
        stamps = dict.fromkeys(("difference", "science", "template"), pa.nulls(len(rows), pa.large_binary()))
        missing = []
        for kind, image in self.images.items():
            if isinstance(image, ImageError):
                missing.append(MissingStamps(kind, image.reason, len(rows), str(image)))
                continue
            boxes = boxes_of(image, sources)
            stamps[kind] = written(image, boxes, sources)
            if n_off := len(rows) - len(boxes):
                missing.append(
                    MissingStamps(
                        kind,
                        OFF_IMAGE,
                        n_off,
                        f"{n_off} of {len(rows)} sources do not lie on the {kind} image; see that the batch names "
                        "its own, and that the image's WCS is right",
                    )
                )
        return Cutouts(Stamps(**stamps), tuple(missing))


class Cutter:
    """Cuts stamps from the images below the configured roots.

    Parameters
    ----------
    store : `~stream_assoc.photometry.image_store.ImageStore`
        Where images are read from.
    """

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def load(self, uris: ImageUris, batch: BatchId, band: str) -> BatchImages:
        """Read the images of a batch, each once.

        An image that must not be read, cannot be, or is of another visit,
        detector or band than the batch raises nothing: its stamps are null,
        and `Cutouts.missing` says why. The visit and detector of a template
        are not looked at.
        """
        named = {"difference": uris.difference, "science": uris.science, "template": uris.template}
        return BatchImages(
            {kind: self._image(kind, uri, batch, band) for kind, uri in named.items() if uri is not None}
        )

    def _image(self, kind: str, uri: str, batch: BatchId, band: str) -> Exposure | ImageError:
        try:
            exposure = self._store.read(uri)
            taken = exposure.visit_info
            (VisitInfo(band=taken.band) if kind == "template" else taken).check(uri, batch, band)
        except ImageError as error:
            return error
        return exposure
