"""The cache compared with the APDB, object by object.

A tile must hold what the APDB holds, and a state must be the one that folding
the object's stored sources gives, to the last bit
(`stream_assoc.tools.maintenance.differences` says what equal means). Only what the
pipeline would believe is compared: a tile or state of an older version is
*stale*, one that is not there or not readable *missing*. Neither is wrong, for
both are rebuilt when they are next needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.ports.cache import of_version
from stream_assoc.tools.maintenance.differences import compare_positions, compare_states, compare_tiles, widen
from stream_assoc.tools.maintenance.stores import Piece, Stores, holding, piecewise

_N_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tiles or objects were looked at, and what was wrong with how many.

    Attributes
    ----------
    checked, missing, stale : `int`
        All that were looked at; those the cache lacks; those it has of an
        older version.
    different : `int`
        Those the cache has of the current version with another content.
    examples : `tuple` [`int`, ...]
        The first few that are different, by HTM index or diaObjectId.
    """

    checked: int = 0
    missing: int = 0
    stale: int = 0
    different: int = 0
    examples: tuple[int, ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.checked + other.checked,
            self.missing + other.missing,
            self.stale + other.stale,
            self.different + other.different,
            (self.examples + other.examples)[:_N_EXAMPLES],
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in one piece of the sky, or in several together.

    Attributes
    ----------
    tiles, states : `Tally`
        Of the cache.
    objects : `Tally`
        Of the APDB itself: an object is different if its DiaObject row, its
        DiaObjectLast row and its sources do not say the same. Only objects
        whose state is cached are looked at. No repair of a cache mends these.
    drift : `dict` [`str`, `float`]
        Largest difference of each field that differs anywhere: fields of tiles
        and of objects with that word before them, accumulators as
        ``plugin.field``, those of a band as ``r_plugin.field``.
    repaired : `int`
        Tiles and states that were different and have been written anew.
    """

    tiles: Tally = Tally()
    states: Tally = Tally()
    objects: Tally = Tally()
    drift: Mapping[str, float] = field(default_factory=dict)
    repaired: int = 0

    def __add__(self, other: "Verification") -> "Verification":
        drift = dict(self.drift)
        widen(drift, other.drift)
        return Verification(
            self.tiles + other.tiles,
            self.states + other.states,
            self.objects + other.objects,
            drift,
            self.repaired + other.repaired,
        )

    @property
    def n_left(self) -> int:
        """How many differences are left after what has been repaired."""
        return self.tiles.different + self.states.different + self.objects.different - self.repaired


def verify(stores: Stores, tiles: IntArray, *, repair: bool = False) -> Iterator[Verification]:
    """Compare the cache with the APDB, a few tiles at a time.

    The cell of these few is held meanwhile, so that what is compared belongs
    together; a batch there waits until they are done.

    Parameters
    ----------
    stores : `Stores`
        The two to compare.
    tiles : `numpy.ndarray` [int64]
        Sorted.
    repair : `bool`
        Write anew what is different in the cache.

    Yields
    ------
    verification : `Verification`
        Of each piece, as it is done.

    Raises
    ------
    ApdbUnavailableError, CacheUnavailableError
        If a store went away.
    """
    for some in piecewise(tiles, stores.partition):
        with holding(stores, some) as piece:
            found = _verify_tiles(stores, piece, repair=repair)
            for objects in piece.portions():
                found += _verify_states(stores, piece, objects, repair=repair)
        yield found


def _verify_tiles(stores: Stores, piece: Piece, *, repair: bool) -> Verification:
    tiles = piece.tiles.objects.tiles
    cached = stores.cache.peek_tiles(tiles)
    current = of_version(cached, tiles, piece.tiles.versions).split()
    expected = piece.tiles.objects.split()
    wrong = []
    drift: dict[str, float] = {}
    for tile, positions in current.items():
        drift_here = compare_tiles(positions, expected[tile])
        if drift_here:
            wrong.append(tile)
            widen(drift, {f"tile {name}": largest for name, largest in drift_here.items()})
    if repair:
        stores.write_tiles(piece.tiles.take(np.flatnonzero(np.isin(tiles, wrong))))
    tally = Tally(
        checked=len(piece.tiles),
        missing=len(piece.tiles) - len(cached),
        stale=len(cached) - len(current),
        different=len(wrong),
        examples=tuple(wrong[:_N_EXAMPLES]),
    )
    return Verification(tiles=tally, drift=drift, repaired=len(wrong) if repair else 0)


def _verify_states(stores: Stores, piece: Piece, objects: ObjectPositions, *, repair: bool) -> Verification:
    cells = piece.cells(len(objects))
    cached = stores.cache.read_states(objects.diaObjectId, cells, objects.validityStartMjdTai)
    absent = np.setdiff1d(np.arange(len(objects)), cached.found, assume_unique=True)
    versions = stores.cache.peek_state_versions(objects.diaObjectId[absent], cells[absent])
    n_missing = int(np.isnan(versions).sum())

    objects = objects.take(cached.found)
    rebuilt = stores.rebuilt(piece.session, objects)
    known = np.isin(objects.diaObjectId, rebuilt.diaObjectId)
    states = compare_states(cached.states.take(np.flatnonzero(known)), rebuilt, stores.calculator)
    positions = compare_positions(stores.calculator.positions(rebuilt), objects.take(known))
    wrong = np.flatnonzero(states.rows)
    if repair:
        stores.write_states(rebuilt.take(wrong), piece.cell)

    contradictory = ~known
    contradictory[known] = positions.rows
    return Verification(
        states=Tally(
            checked=len(cells),
            missing=n_missing,
            stale=len(absent) - n_missing,
            different=len(wrong),
            examples=_first(rebuilt.diaObjectId[wrong]),
        ),
        objects=Tally(
            checked=len(objects),
            different=int(contradictory.sum()),
            examples=_first(objects.diaObjectId[contradictory]),
        ),
        drift=states.drift | {f"object {name}": largest for name, largest in positions.drift.items()},
        repaired=len(wrong) if repair else 0,
    )


def _first(ids: IntArray) -> tuple[int, ...]:
    return tuple(ids[:_N_EXAMPLES].tolist())
