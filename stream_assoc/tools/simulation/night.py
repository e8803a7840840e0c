"""A simulated survey, batch by batch, with its truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.batch import Batch, BatchId, SolarSystemObjects
from stream_assoc.core.model.positions import wrapped_ra
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.detections import (
    ARTIFACT,
    BAD_PIXEL_FLAGS,
    Detections,
    Light,
    detect,
    image,
    light_on,
)
from stream_assoc.tools.simulation.sky import SimulatedSky, simulate_sky
from stream_assoc.tools.simulation.telescope import PIXELS_A_SIDE, Detector, Visit, focal_plane, plan_visits
from stream_assoc.tools.simulation.truth import KINDS, TRUTH_SCHEMA
from stream_assoc.tools.transform.batches import content_digest
from stream_assoc.tools.transform.columns import measured_schema
from stream_assoc.tools.transform.footprints import TangentPlane

DETECTOR_BITS: Final = 8
COUNTER_BITS: Final = 14
LIGHT_MARGIN: Final = 0.1
"""How far around a detector light may still reach its images, in sides of the detector."""
PREDICTION_MARGIN_ARCSEC: Final = 10.0
"""Known asteroids are predicted this far outside a detector, as upstream's region query does."""


@dataclass(frozen=True, slots=True)
class SimulatedBatch:
    """A batch, and what its sources really are.

    Attributes
    ----------
    batch : `Batch`
    truth : `pyarrow.RecordBatch`
        Columns of `~stream_assoc.tools.simulation.truth.TRUTH_SCHEMA`, the rows of
        the batch's sources.
    exposed : `Exposed` or `None`
        What its images show, where images are wanted.
    """

    batch: Batch
    truth: pa.RecordBatch
    exposed: "Exposed | None" = None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A detector at a visit, and what shines on it."""

    visit: Visit
    detector: Detector
    light: Light


def simulate(config: SimulationConfig) -> Iterator[SimulatedBatch]:
    """Simulate a survey.

    Equal configurations give equal batches, byte for byte, with the same
    version of numpy.

    Parameters
    ----------
    config : `SimulationConfig`

    Yields
    ------
    simulated : `SimulatedBatch`
        One for each visit and detector, ordered by time, then detector.
    """
    survey = TangentPlane.at(unit_vectors([config.ra], [config.dec])[0])
    sky = simulate_sky(config, survey)
    detectors = focal_plane(config)
    for visit in plan_visits(config, survey):
        imaged = image(sky, visit)
        for detector in detectors:
            detections = detect(config, sky, imaged, visit, detector)
            predicted = _predicted(config, sky, visit, detector)
            simulated = _simulated(config, visit, detector, detections, predicted)
            if config.image_pixels:
                light = light_on(imaged, visit, detector, LIGHT_MARGIN * detector.size)
                simulated = replace(simulated, exposed=Exposed(visit, detector, light))
            yield simulated


def dia_source_ids(visit: int, detector: int, n: int) -> IntArray:
    """Return the identifiers of the sources of a batch, int64, shape (n,).

    Visit, detector and a counter from 1, packed into 41, 8 and 14 bits, as
    Rubin packs its own. They are unique, ascending and above 2**53.

    Raises
    ------
    ValueError
        If the detector or the number of sources does not fit.
    """
    if not 0 <= detector < 1 << DETECTOR_BITS or n >= 1 << COUNTER_BITS:
        raise ValueError(
            f"detector {detector} with {n} sources does not fit an identifier, which has room for "
            f"{1 << DETECTOR_BITS} detectors and {(1 << COUNTER_BITS) - 1} sources; lower the densities"
        )
    prefix = (visit << DETECTOR_BITS | detector) << COUNTER_BITS
    return prefix + np.arange(1, n + 1, dtype=np.int64)


def _predicted(config: SimulationConfig, sky: SimulatedSky, visit: Visit, detector: Detector) -> SolarSystemObjects:
    known = np.flatnonzero(sky.ssObjectId)
    random = np.random.default_rng([config.seed, 3, visit.number])
    ra, dec = to_radec(sky.directions(visit.midpointMjdTai)[known])
    # One prediction a visit, the same for every detector that may see the object.
    error = random.normal(size=(2, len(known))) * config.prediction_arcsec / 3600.0
    dec = np.clip(dec + error[1], -90.0, 90.0)
    ra = wrapped_ra(ra + error[0] / np.maximum(np.cos(np.radians(dec)), 1e-6))
    footprint = ConvexFootprint.from_vertices(detector.footprint(visit.plane))
    inside = footprint.contains(ra, dec, PREDICTION_MARGIN_ARCSEC)
    return SolarSystemObjects(sky.ssObjectId[known][inside], ra[inside], dec[inside])


def _simulated(
    config: SimulationConfig, visit: Visit, detector: Detector, detections: Detections, predicted: SolarSystemObjects
) -> SimulatedBatch:
    ids = dia_source_ids(visit.visit, detector.number, len(detections))
    batch = Batch(
        id=BatchId(visit.visit, detector.number),
        band=visit.band,
        midpointMjdTai=visit.midpointMjdTai,
        exposureTime=config.exposure_seconds,
        footprint=detector.footprint(visit.plane),
        diaSources=_dia_sources(ids, detections, config),
        digest=b"",
        solar_system_objects=predicted,
    )
    return SimulatedBatch(replace(batch, digest=content_digest(batch)), _truth(ids, detections))


def _truth(ids: IntArray, detections: Detections) -> pa.RecordBatch:
    columns = {
        "diaSourceId": ids,
        "truth_id": np.where(detections.kind == ARTIFACT, ids, detections.truth_id),
        "kind": pa.array(KINDS).take(pa.array(detections.kind)),
        "ssObjectId": detections.ssObjectId,
        "ra": detections.true_ra,
        "dec": detections.true_dec,
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name], field.type) for field in TRUTH_SCHEMA], schema=TRUTH_SCHEMA
    )


def _dia_sources(ids: IntArray, detections: Detections, config: SimulationConfig) -> pa.RecordBatch:
    """Fill the columns that a difference-imaging pipeline would; the rest is null or 0."""
    n = len(ids)
    degrees = detections.position_error / 3600.0
    pixels = degrees / config.detector_size_deg * PIXELS_A_SIDE
    measured: dict[str, Any] = {
        "diaSourceId": ids,
        "ra": detections.ra,
        # An error of the coordinate, not of the position: upstream compares it with a difference of ra.
        "raErr": degrees / np.maximum(np.cos(np.radians(detections.dec)), 1e-6),
        "dec": detections.dec,
        "decErr": degrees,
        "ra_dec_Cov": np.zeros(n),
        "x": detections.x,
        "xErr": pixels,
        "y": detections.y,
        "yErr": pixels,
        "isNegative": detections.psfFlux < 0.0,
        "snr": np.abs(detections.psfFlux) / detections.flux_error,
        "psfFlux": detections.psfFlux,
        "psfFluxErr": detections.flux_error,
        "apFlux": detections.psfFlux,
        "apFluxErr": 1.5 * detections.flux_error,
        "scienceFlux": detections.scienceFlux,
        "scienceFluxErr": detections.flux_error,
        "psfNdata": np.full(n, 41 * 41),
        "extendedness": np.zeros(n),
        "trailLength": np.zeros(n),
        "reliability": detections.reliability,
        "bboxSize": np.full(n, 25),
    }
    measured |= {name: detections.flag == index for index, name in enumerate(BAD_PIXEL_FLAGS)}
    schema = measured_schema()
    return pa.RecordBatch.from_arrays(
        [_column(measured.get(field.name), field, n) for field in schema], schema=schema
    )


def _column(values: FloatArray | IntArray | None, field: pa.Field, n: int) -> pa.Array:
    if values is not None:
        return pa.array(values).cast(field.type)
    if pa.types.is_boolean(field.type):
        return pa.repeat(pa.scalar(False), n)
    return pa.nulls(n, field.type) if field.nullable else pa.repeat(pa.scalar(0, field.type), n)
