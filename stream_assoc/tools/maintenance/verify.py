"""The cache compared with the APDB, object by object.

A tile must hold the objects that the APDB holds, and a state must equal the
fold of the object's stored sources, to the last bit
(`stream_assoc.tools.maintenance.differences` defines equality). Only what the
pipeline would use is compared: a tile or state of an older version is *stale*,
as is the state of an object that another program has changed since; one that is
absent or unreadable is *missing*. Neither is wrong, because both are rebuilt
when they are next needed.
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
    """How many tiles or objects were checked, and how many had which fault.

    Attributes
    ----------
    checked, missing, stale : `int`
        All of them; those that the cache lacks; those that it has in an
        older version.
    different : `int`
        Those that the cache has in the current version, with other content.
    examples : `tuple` [`int`, ...]
        HTM index or diaObjectId of the first few that are different.
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
    """The findings in one piece of the sky, or in several together.

    Attributes
    ----------
    tiles, states : `Tally`
        Of the cache.
    objects : `Tally`
        Of the APDB itself: an object is different if its DiaObject row, its
        DiaObjectLast row and its sources disagree. Only objects with a cached
        state are checked. Repairing the cache does not repair these.
    checkpoints : `Tally`
        Of the states that the APDB keeps: one is different if folding onto it
        gives another state than folding all sources. They are not repaired.
    drift : `dict` [`str`, `float`]
        Largest difference of each field that differs anywhere. Names of fields
        of tiles and objects begin with ``tile`` and ``object``; accumulators
        are ``plugin.field``, those of a band ``r_plugin.field``.
    repaired : `int`
        Tiles and states that were different and have been rewritten.
    """

    tiles: Tally = Tally()
    states: Tally = Tally()
    objects: Tally = Tally()
    checkpoints: Tally = Tally()
    drift: Mapping[str, float] = field(default_factory=dict)
    repaired: int = 0

    def __add__(self, other: "Verification") -> "Verification":
        drift = dict(self.drift)
        widen(drift, other.drift)
        return Verification(
            self.tiles + other.tiles,
            self.states + other.states,
            self.objects + other.objects,
            self.checkpoints + other.checkpoints,
            drift,
            self.repaired + other.repaired,
        )

    @property
    def n_left(self) -> int:
        """How many differences remain after the repair."""
        different = self.tiles.different + self.states.different + self.objects.different
        return different + self.checkpoints.different - self.repaired


def verify(stores: Stores, tiles: IntArray, *, repair: bool = False) -> Iterator[Verification]:
    """Compare the cache with the APDB, a few tiles at a time.

    The cell of these tiles is held meanwhile, so that both sides are of the
    same time. A batch in this cell waits until the comparison is done.

    Parameters
    ----------
    stores : `Stores`
        The two to compare.
    tiles : `numpy.ndarray` [int64]
        Sorted.
    repair : `bool`
        Rewrite the cached tiles and states that are different.

    Yields
    ------
    verification : `Verification`
        Of each piece, when it is finished.

    Raises
    ------
    ApdbUnavailableError, CacheUnavailableError
        If a store became unavailable.
    """
    for some in piecewise(tiles, stores.partition):
        with holding(stores, some) as piece:
            found = _verify_tiles(stores, piece, repair=repair)
            for objects in piece.portions():
                found += _verify_states(stores, piece, objects, repair=repair)
                found += _verify_checkpoints(stores, piece, objects)
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

    usable = np.flatnonzero(~np.isin(cached.states.diaObjectId, piece.changed))
    n_stale = len(absent) - n_missing + len(cached.found) - len(usable)
    objects, cached_states = objects.take(cached.found[usable]), cached.states.take(usable)
    rebuilt = stores.rebuilt(piece.session, objects)
    known = np.isin(objects.diaObjectId, rebuilt.diaObjectId)
    states = compare_states(cached_states.take(np.flatnonzero(known)), rebuilt, stores.calculator)
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
            stale=n_stale,
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


def _verify_checkpoints(stores: Stores, piece: Piece, objects: ObjectPositions) -> Verification:
    folded = stores.folded_onto_checkpoints(piece.session, objects)
    whole = stores.rebuilt(piece.session, objects.take(np.isin(objects.diaObjectId, folded.diaObjectId)))
    compared = compare_states(folded, whole, stores.calculator)
    wrong = folded.diaObjectId[compared.rows]
    tally = Tally(checked=len(folded), different=len(wrong), examples=_first(wrong))
    drift = {f"checkpoint {name}": largest for name, largest in compared.drift.items()}
    return Verification(checkpoints=tally, drift=drift)


def _first(ids: IntArray) -> tuple[int, ...]:
    return tuple(ids[:_N_EXAMPLES].tolist())
