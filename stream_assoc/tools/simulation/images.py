"""Images of the simulated sky: what forced photometry is measured on, what it must find, what cutouts show.

A detector has few, wide pixels, so that a night of images is small. Artifacts
are not in them: no light is there. The noise is that of the sky alone.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial import cKDTree
from scipy.special import erf

from stream_assoc.core.model.batch import Batch, BatchId, ImageUris
from stream_assoc.core.model.types import FloatArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN, to_radec, unit_vectors
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.detections import Light
from stream_assoc.tools.simulation.night import Exposed
from stream_assoc.tools.simulation.sky import flux_error_njy
from stream_assoc.tools.transform.batches import content_digest
from stream_assoc.tools.transform.footprints import TangentPlane

FWHM_PIXELS: Final = 3.0
"""Less, and the PSF could not be moved by fractions of a pixel; more than the seeing, in these wide pixels."""

STAMP_PIXELS: Final = 19
"""Side of the PSF's image: seven standard deviations to each side."""

TEMPLATE_EXPOSURES: Final = 20
"""How many visits a template is the mean of; its noise is that much less."""

_SIGMA_PIXELS: Final = FWHM_PIXELS / np.sqrt(8.0 * np.log(2.0))
_SEEN_SIGMA_PIXELS: Final = float(np.hypot(_SIGMA_PIXELS, 12.0**-0.5))
"""Of the light as pixels integrate it."""


@dataclass(frozen=True, slots=True)
class DetectorImages:
    """The images of a detector at a visit.

    Attributes
    ----------
    config : `SimulationConfig`
    exposed : `Exposed`
        What they show.
    """

    config: SimulationConfig
    exposed: Exposed

    def write(self, folder: Path) -> ImageUris:
        """Write the difference, the science and the template image into a folder; return where they are.

        A template shows what a visit would without any change of the sky, on
        the pixels of this one.
        """
        visit, detector, light = self.exposed.visit, self.exposed.detector, self.exposed.light
        random = np.random.default_rng([self.config.seed, 4, visit.number, detector.number])
        taken = {"VISIT": visit.visit, "DETECTOR": detector.number, "BAND": visit.band}
        uris = {}
        for kind, flux, n_exposures, cards in (
            ("difference", light.psfFlux, 1, taken),
            ("science", light.scienceFlux, 1, taken),
            ("template", light.scienceFlux - light.psfFlux, TEMPLATE_EXPOSURES, {"BAND": visit.band}),
        ):
            file = _file(folder.resolve(), visit.visit, detector.number, kind)
            hdus = self._hdus(flux, n_exposures, random)
            hdus[0].header.update(cards)
            hdus.writeto(file, overwrite=True)
            uris[kind] = file.as_uri()
        return ImageUris(**uris)

    def _hdus(self, flux: FloatArray, n_exposures: int, random: np.random.Generator) -> fits.HDUList:
        side, visit, detector = self.config.image_pixels, self.exposed.visit, self.exposed.detector
        scale = side / detector.size
        x = (self.exposed.light.x - detector.x) * scale - 0.5
        y = (self.exposed.light.y - detector.y) * scale - 0.5
        psf = _profiles(np.array([STAMP_PIXELS // 2]), STAMP_PIXELS)
        stamp = psf.T @ psf
        sky_error = flux_error_njy(np.zeros(1), visit.band)[0]
        variance = sky_error**2 * np.sum(stamp**2) / n_exposures
        # Not as a product of matrices, whose last bits depend on how threads share the work.
        image = np.einsum("ny,nx->yx", _profiles(y, side) * flux[:, np.newaxis], _profiles(x, side))
        image += np.sqrt(variance) * random.standard_normal(image.shape)
        # Sixteen steps to a standard deviation of the noise, as Rubin's own.
        pixels = fits.CompImageHDU(image.astype(np.float32), self._wcs(scale), name="IMAGE", quantize_level=16.0)
        # In steps of a fixed size, because a noise of none has no sixteenths; as it is it would be put into gzip,
        # which notes the time.
        constant = fits.CompImageHDU(
            np.full(image.shape, variance, np.float32), name="VARIANCE", quantize_level=-0.01 * variance
        )
        return fits.HDUList([fits.PrimaryHDU(), pixels, constant, fits.ImageHDU(stamp, name="PSF")])

    def _wcs(self, scale: float) -> fits.Header:
        plane, detector = self.exposed.visit.plane, self.exposed.detector
        unturned = TangentPlane.at(plane.centre)
        cosine, sine = plane.east @ unturned.east, plane.east @ unturned.north
        (ra,), (dec,) = to_radec(plane.centre[np.newaxis])
        degrees = np.degrees(1.0 / scale)
        return fits.Header(
            {
                "BUNIT": "nJy",
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CRVAL1": ra,
                "CRVAL2": dec,
                "CRPIX1": 0.5 - detector.x * scale,
                "CRPIX2": 0.5 - detector.y * scale,
                "CD1_1": degrees * cosine,
                "CD1_2": -degrees * sine,
                "CD2_1": degrees * sine,
                "CD2_2": degrees * cosine,
            }
        )


def with_images(batch: Batch, images: DetectorImages, folder: Path) -> Batch:
    """Write the images of a batch into a folder, and return the batch that names them."""
    named = replace(batch, images=images.write(folder))
    return replace(named, digest=content_digest(named))


def expected_fluxes(
    config: SimulationConfig, light: Light, ra: npt.ArrayLike, dec: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return what a flux measured at some positions is without noise, from the light alone.

    A Gaussian profile at a distance ``d`` from another shows ``exp(-d**2 / (4
    sigma**2))`` of its flux there. So this holds beside the light too, and
    where two sources overlap.

    Parameters
    ----------
    config : `SimulationConfig`
    light : `Light`
        Of the visit and detector.
    ra, dec : array-like [float64], shape (n,)
        Degrees.

    Returns
    -------
    psfFlux, scienceFlux : `numpy.ndarray` [float64], shape (n,)
        On the difference and on the science image, nJy.
    """
    positions = unit_vectors(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    psfFlux, scienceFlux = np.zeros(len(positions)), np.zeros(len(positions))
    if not len(light) or not len(positions):
        return psfFlux, scienceFlux
    sigma = _SEEN_SIGMA_PIXELS * pixel_arcsec(config) / ARCSEC_PER_RADIAN
    tree = cKDTree(unit_vectors(light.ra, light.dec))
    for row, near in enumerate(tree.query_ball_point(positions, 10.0 * sigma)):
        distance = np.linalg.norm(tree.data[near] - positions[row], axis=1)
        share = np.exp(-((distance / (2.0 * sigma)) ** 2))
        psfFlux[row] = share @ light.psfFlux[near]
        scienceFlux[row] = share @ light.scienceFlux[near]
    return psfFlux, scienceFlux


def pixels_to_edge(folder: Path, batch: BatchId, ra: npt.ArrayLike, dec: npt.ArrayLike) -> FloatArray:
    """Return how far positions, in degrees, lie inside of the images of a batch, pixels.

    Where a PSF reaches over the edge, what is measured depends on more than
    `expected_fluxes` knows.
    """
    header = fits.getheader(_file(folder, batch.visit, batch.detector, "difference"), "IMAGE")
    x, y = WCS(header).all_world2pix(ra, dec, 0)
    width, height = header["NAXIS1"], header["NAXIS2"]
    return np.asarray(np.min([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y], axis=0))


def _file(folder: Path, visit: int, detector: int, kind: str) -> Path:
    return folder / f"{visit}-{detector}-{kind}.fits"


def pixel_arcsec(config: SimulationConfig) -> float:
    """Return the side of a pixel, arcsec."""
    return config.detector_size_deg * 3600.0 / config.image_pixels


def _profiles(centres: FloatArray, size: int) -> FloatArray:
    """Return the light of points along a row of pixels, as these integrate it, shape (n, size)."""
    borders = (np.arange(size + 1) - 0.5 - centres[:, np.newaxis]) / (np.sqrt(2.0) * _SIGMA_PIXELS)
    return np.asarray(np.diff(0.5 * erf(borders), axis=1))
