"""The part of the sky a batch needs: tiles to load and cells to hold."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.exceptions import InvalidFootprintError
from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.objects import TiledObjects
from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import BoolArray, IntArray
from stream_assoc.core.sky.htm import parent_index
from stream_assoc.core.sky.region import ConvexFootprint, trixels_near
from stream_assoc.pipeline.exceptions import LocksExhaustedError, TooManyCellsError

LOADED_MATCH_RADII: Final = 2.0
"""Match radii around a source that are loaded: a matched object lies within one
radius, and its new mean position between it and the source, so two leave room
for rounding."""

_MAX_FOOTPRINT_DEG: Final = 20.0
"""Widest footprint that is accepted. A detector is narrower, and a wrong
footprint the size of a hemisphere would load millions of tiles."""

_BORDER: Final = 2
"""The count of cells before they are listed is too high along the border, by less than this factor."""


@dataclass(frozen=True, slots=True)
class SkyPartition:
    """How the sky is divided.

    Attributes
    ----------
    tile_level : `int`
        HTM level of the cached tiles; 10 is about 7 arcmin across.
    cell_level : `int`
        HTM level of the cells that locks cover and cache keys are sharded by.
    angle_margin_arcsec : `float`
        How far around a footprint objects are loaded, as ``angleMargin`` of
        upstream's LoadDiaCatalogs.
    """

    tile_level: int = 10
    cell_level: int = 8
    angle_margin_arcsec: float = 20.0

    def cells(self, tiles: IntArray) -> IntArray:
        """Return the cell of each tile, int64, in the order given."""
        return parent_index(tiles, self.tile_level, self.cell_level)


@dataclass(frozen=True, slots=True)
class CellLimits:
    """How many cells may be held at once. Each is a lock, and a database has a limited number.

    Attributes
    ----------
    batch : `int`
        Most for one batch. A batch that needs more is rejected before any is held.
    session : `int`
        Most for batches that are processed together; not below ``batch``.
    """

    batch: int = 1000
    session: int = 2000


@dataclass(frozen=True, slots=True)
class BatchRegion:
    """The sky one batch needs.

    Attributes
    ----------
    footprint : `ConvexFootprint`
        The detector's outline.
    tiles : `numpy.ndarray` [int64]
        Sorted tiles that hold every object the batch may match, move or create.
    cells : `numpy.ndarray` [int64]
        Sorted cells that hold these tiles.
    usable : `numpy.ndarray` [bool], shape (n_sources,)
        Sources that have a position on the sky and on the detector.
    """

    footprint: ConvexFootprint
    tiles: IntArray
    cells: IntArray
    usable: BoolArray


def region_of(
    batch: Batch, partition: SkyPartition, match_radius_arcsec: float, limits: CellLimits | None = None
) -> BatchRegion:
    """Return the sky this batch needs.

    The tiles cover the footprint grown by the margin, and the surroundings of
    every source, because a producer's footprint may be wrong and a source
    outside of it must still meet its object.

    Raises
    ------
    InvalidFootprintError
        If the footprint is no convex outline on the sky, or far too wide.
    TooManyCellsError
        If it covers more cells than the limits allow, or its sources lie in so many.
    """
    limits = limits or CellLimits()
    footprint = ConvexFootprint.from_vertices(batch.footprint)
    _refuse_too_wide(footprint)
    ra, dec = batch.column("ra"), batch.column("dec")
    usable = has_position(ra, dec) & np.isfinite(batch.column("x")) & np.isfinite(batch.column("y"))
    margin, reach = partition.angle_margin_arcsec, LOADED_MATCH_RADII * match_radius_arcsec
    # Counted before they are listed: there may be any number of tiles in a cell.
    n_cells = footprint.n_trixels(partition.cell_level, margin)
    if n_cells > _BORDER * limits.batch:
        raise _too_many_cells(batch, n_cells, limits)
    tiles = footprint.trixels(partition.tile_level, margin)
    beyond = usable.copy()
    if margin >= reach:
        # What is within reach of the others is within the margin.
        beyond[usable] = ~footprint.contains(ra[usable], dec[usable], margin - reach)
    if beyond.any():
        tiles = np.union1d(tiles, trixels_near(ra[beyond], dec[beyond], reach, partition.tile_level))
    cells = np.unique(partition.cells(tiles))
    if len(cells) > limits.batch:
        raise _too_many_cells(batch, len(cells), limits)
    return BatchRegion(footprint, tiles, cells, usable)


def in_footprint(region: BatchRegion, objects: TiledObjects, partition: SkyPartition) -> BoolArray:
    """Tell which objects are in the footprint or no farther from it than the margin.

    Only those on the border are looked at one by one.
    """
    inside = np.repeat(
        np.isin(objects.tiles, region.footprint.inner_trixels(partition.tile_level), assume_unique=True),
        np.diff(objects.offsets),
    )
    border = np.flatnonzero(~inside)
    positions = objects.positions
    inside[border] = region.footprint.contains(
        positions.ra[border], positions.dec[border], partition.angle_margin_arcsec
    )
    return inside


def _refuse_too_wide(footprint: ConvexFootprint) -> None:
    if footprint.is_wider_than(_MAX_FOOTPRINT_DEG):
        raise InvalidFootprintError(
            f"the footprint is more than {_MAX_FOOTPRINT_DEG:.0f} degrees across; "
            "give the corners of the detector as (ra, dec) in degrees"
        )


def _too_many_cells(batch: Batch, n_cells: int, limits: CellLimits) -> TooManyCellsError:
    return TooManyCellsError(
        f"the footprint and the sources of visit {batch.id.visit} detector {batch.id.detector} lie in {n_cells} "
        f"cells of the sky, batch.max_cells allows {limits.batch}; check ra and dec of the sources and the corners "
        "of the footprint, send one detector a message, or raise the setting and PostgreSQL's "
        "max_locks_per_transaction with it"
    )


def refused_alone(error: LocksExhaustedError) -> TooManyCellsError:
    """Return why a batch can never be processed: alone in its session, it needs more locks than the server has.

    Raises
    ------
    LocksExhaustedError
        The given one, if the batch asks for no more than a session's fair share.
        Then other sessions fill the lock table, and that passes.
    """
    if error.n_cells <= error.fair_share:
        raise error
    return TooManyCellsError(str(error))
