"""Batches in the right form whose geometry is hostile: footprints and sources as no camera has them."""

import math
import random
from collections.abc import Callable, Sequence

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.positions import has_position
from stream_assoc.core.sky.circles import trixels_near
from stream_assoc.exceptions import PoisonError
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.pipeline.region import CellLimits, SkyPartition, region_of
from tests.pipeline.skies import batch, square

Rng = random.Random
Positions = Sequence[tuple[float, float]]

LIMITS = CellLimits()
PARTITION = SkyPartition()
REACH_ARCSEC = 2.0

_CENTRES: Positions = (
    *((150.0, 2.0), (0.0, 0.0), (359.999, -30.0), (-0.001, 45.0), (360.0, 60.0), (720.5, 10.0), (-210.236, 2.2)),
    *((0.0, 90.0), (200.0, -90.0), (123.0, 89.999), (45.0, 35.26438968), (90.0, 0.0)),
)
_SIZES_DEG = (0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 2.0, 6.0, 12.0, 45.0, 89.9, 120.0)
_ODD = (math.nan, math.inf, -math.inf, 1e300, -1e9, 36_000.0, 36_000.1, 90.0, -90.0, 90.000001, -1e-17, 360.0, 5e-324)


def around(centre: tuple[float, float], east_deg: float, north_deg: float) -> tuple[float, float]:
    """Return about the position so far away, without a care for poles: what is off the sky is part of the game."""
    ra, dec = centre
    return ra + east_deg / max(math.cos(math.radians(dec)), 1e-3), dec + north_deg


def ring(centre: tuple[float, float], size_deg: float, n: int, rng: Rng) -> list[tuple[float, float]]:
    turned = rng.random()
    angles = [2.0 * math.pi * (k + turned) / n for k in range(n)]
    return [around(centre, size_deg * math.cos(angle), size_deg * math.sin(angle)) for angle in angles]


def scattered(n: int, rng: Rng) -> list[tuple[float, float]]:
    return [(rng.uniform(-400.0, 800.0), math.degrees(math.asin(rng.uniform(-1.0, 1.0)))) for _ in range(n)]


def footprint(centre: tuple[float, float], rng: Rng) -> list[tuple[float, float]]:
    if rng.random() < 0.5:
        # A good one, also at a pole, so that the sources come to their turn.
        return [(ra, dec) for ra, dec in square(*centre, rng.choice((1e-3, 0.1, 0.5, 2.0, 4.0, 6.0))).tolist()]
    size = rng.choice(_SIZES_DEG)
    corners = ring(centre, size, rng.choice((3, 4, 4, 4, 5, 8, 100, 1000)), rng)
    shapes: tuple[Callable[[], list[tuple[float, float]]], ...] = (
        lambda: corners,
        # Clockwise, crossing, concave.
        lambda: corners[::-1],
        lambda: rng.sample(corners, len(corners)),
        lambda: [*corners, *ring(centre, size / 3.0, 5, rng)],
        # A needle, a point, a line, and corners that come many times.
        lambda: [around(centre, k * size, 1e-9 * k * k) for k in range(5)],
        lambda: [centre] * 4,
        lambda: [around(centre, 0.0, k * size / 4.0) for k in range(5)],
        lambda: corners * rng.randint(2, 5),
        # One corner that is elsewhere, or none at all.
        lambda: [*corners[1:], rng.choice(_CENTRES)],
        lambda: [*corners[1:], (rng.choice(_ODD), rng.choice(_ODD))],
        lambda: corners[: rng.randint(0, 2)],
        lambda: scattered(rng.choice((3, 50)), rng),
    )
    return rng.choice(shapes)()


def sources(centre: tuple[float, float], rng: Rng) -> list[tuple[float, float]]:
    n = rng.choice((0, 1, 3, 30, 300))
    places: tuple[Callable[[], list[tuple[float, float]]], ...] = (
        lambda: [around(centre, rng.gauss(0.0, 0.1), rng.gauss(0.0, 0.1)) for _ in range(n)],
        lambda: [rng.choice(_CENTRES) for _ in range(n)],
        lambda: [centre] * n,
        lambda: [(rng.choice(_ODD), rng.choice(_ODD)) for _ in range(n)],
        lambda: scattered(n, rng),
        # A cell each, more of them than any session may hold.
        lambda: scattered(2 * LIMITS.session, rng),
        lambda: ring(centre, rng.choice(_SIZES_DEG), max(n, 1), rng),
    )
    return rng.choice(places)()


def make(rng: Rng) -> bytes:
    """Return the message of a batch with a hostile geometry."""
    centre = rng.choice(_CENTRES)
    outline = np.array(footprint(centre, rng), np.float64).reshape(-1, 2)
    ra, dec = np.array(sources(centre, rng), np.float64).reshape(-1, 2).T
    ids = list(range(1, len(ra) + 1))
    return BatchEncoder().encode(batch(1, ra.tolist(), dec.tolist(), ids=ids, footprint=outline))


def parse(value: bytes) -> str:
    """Return the fate of a batch on its arrival; the sky it then needs is bounded, and complete."""
    try:
        decoded = BatchDecoder().decode(value)
        region = region_of(decoded, PARTITION, REACH_ARCSEC / 2.0, LIMITS)
    except PoisonError as error:
        return error.reason
    assert decoded.id == BatchId(1, 0)
    assert 0 < len(region.cells) <= LIMITS.batch
    assert len(region.tiles) <= len(region.cells) * 4 ** (PARTITION.tile_level - PARTITION.cell_level)
    assert np.array_equal(np.unique(PARTITION.cells(region.tiles)), region.cells)
    ra, dec = decoded.column("ra"), decoded.column("dec")
    assert np.array_equal(region.usable, has_position(ra, dec))
    assert np.all((ra[region.usable] >= 0.0) & (ra[region.usable] < 360.0))
    near = trixels_near(ra[region.usable], dec[region.usable], REACH_ARCSEC, PARTITION.tile_level)
    assert np.isin(near, region.tiles).all()
    return "accepted"
