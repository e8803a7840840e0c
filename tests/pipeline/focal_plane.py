"""A camera whose detectors overlap, and visits most of whose sources lie where they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.types import BANDS, FloatArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, to_radec, unit_vectors
from stream_assoc.tools.simulation.telescope import Detector
from stream_assoc.tools.transform.footprints import TangentPlane
from tests.pipeline.skies import batch

ARCSEC: Final = 1.0 / ARCSEC_PER_RADIAN
"""Radians."""

DETECTOR_DEG: Final = 0.22
NOISE: Final = 0.15 * ARCSEC
"""Of a measured position, along each axis: two detectors see a star at two places."""

PAIR: Final = 0.7 * ARCSEC
"""Separation of close pairs: less than the match radius."""

DETECTED: Final = 0.6
"""Chance that a detector detects a star: which of two detectors sees it first differs from visit to visit."""

FIELD_DEG: Final = 0.5
"""From field to field: less than a focal plane, so that visits of several fields want the same cells."""

VISITS_A_FIELD: Final = 12
"""Light curves stay short, however many visits there are."""


@dataclass(frozen=True, slots=True)
class FocalPlane:
    """A grid of square detectors.

    Attributes
    ----------
    columns, rows : `tuple` [`float`, ...]
        How much each column shares with the next, and each row, arcsec.
    sites : `int`
        Where stars, alone or in pairs, stand along each line of overlap.
    transients : `int`
        New stars of each visit along each line of overlap, never seen again.
    """

    columns: tuple[float, ...] = (1.0, 20.0)
    rows: tuple[float, ...] = (5.0, 12.0)
    sites: int = 5
    transients: int = 1

    @property
    def detectors(self) -> tuple[Detector, ...]:
        size = np.radians(DETECTOR_DEG)
        corners = [(x, y) for y in _edges(self.rows) for x in _edges(self.columns)]
        return tuple(Detector(number, x, y, size) for number, (x, y) in enumerate(corners))

    def stars(self, random: np.random.Generator, n: int) -> FloatArray:
        """Return plane coordinates, shape (m, 2), of n sites on each line and one on each crossing of lines."""
        vertical, horizontal = _seams(self.columns), _seams(self.rows)
        width, height = _extent(self.columns), _extent(self.rows)
        sites = [
            *((_within(seam, random), random.uniform(0.0, height)) for seam in vertical for _ in range(n)),
            *((random.uniform(0.0, width), _within(seam, random)) for seam in horizontal for _ in range(n)),
            *((_within(one, random), _within(other, random)) for one in vertical for other in horizontal),
        ]
        stars = np.array(sites)
        angle = random.uniform(0.0, 2.0 * np.pi, len(stars))
        companions = stars + PAIR * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.concatenate([stars, companions[random.uniform(size=len(stars)) < 0.5]])


def visits(camera: FocalPlane, n_visits: int, seed: int = 1) -> Iterator[tuple[Batch, ...]]:
    """Generate the batches of each visit, one for every detector, alternating between two fields at a time."""
    for visit in range(n_visits):
        field = 2 * (visit // (2 * VISITS_A_FIELD)) + visit % 2
        stars = camera.stars(np.random.default_rng([seed, field]), camera.sites)
        random = np.random.default_rng([seed, field, visit])
        sky = np.concatenate([stars, camera.stars(random, camera.transients)])
        # The first field lies across 0 h of right ascension.
        axis = TangentPlane.at(unit_vectors([FIELD_DEG * field], [-2.0])[0])
        yield tuple(_detect(detector, sky, axis, visit + 1, random) for detector in camera.detectors)


def _detect(
    detector: Detector, sky: FloatArray, axis: TangentPlane, visit: int, random: np.random.Generator
) -> Batch:
    detected = sky[random.uniform(size=len(sky)) < DETECTED]
    x, y = (detected + NOISE * random.normal(size=detected.shape)).T
    inside = detector.contains(x, y)
    x, y = x[inside], y[inside]
    ra, dec = to_radec(axis.unproject(x, y))
    pixel_x, pixel_y = detector.pixels(x, y)
    return batch(
        visit,
        ra.tolist(),
        dec.tolist(),
        detector=detector.number,
        footprint=detector.footprint(axis),
        band=BANDS[visit % len(BANDS)],
        x=pixel_x,
        y=pixel_y,
    )


def _edges(overlaps: tuple[float, ...]) -> FloatArray:
    """Return where each detector of a row begins."""
    return np.cumsum([0.0, *(np.radians(DETECTOR_DEG) - ARCSEC * np.array(overlaps))])


def _extent(overlaps: tuple[float, ...]) -> float:
    return float(_edges(overlaps)[-1] + np.radians(DETECTOR_DEG))


def _seams(overlaps: tuple[float, ...]) -> list[tuple[float, float]]:
    """Return where each overlap of a row begins and ends, and an arcsecond more: a pair may lie across an edge."""
    begins = _edges(overlaps)[1:]
    return [
        (begin - ARCSEC, begin + (overlap + 1.0) * ARCSEC) for begin, overlap in zip(begins, overlaps, strict=True)
    ]


def _within(seam: tuple[float, float], random: np.random.Generator) -> float:
    return float(random.uniform(*seam))
