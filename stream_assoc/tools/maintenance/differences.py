"""Where two tables of objects differ, and by how much.

Numbers are equal if they compare equal or are both NaN. This is equality bit
by bit, except for the sign of zero, which SQLite does not keep, and the payload
of a NaN, which no database keeps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates
from stream_assoc.core.model.types import BANDS, BoolArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator

Column: TypeAlias = tuple[str, npt.NDArray[Any], npt.NDArray[Any]]

_POSITION_COLUMNS: Final = tuple(name for name in ObjectPositions.__slots__ if name != "diaObjectId")
_STATE_COLUMNS: Final = ("raErr", "decErr", "ra_dec_Cov")


@dataclass(slots=True)
class Differences:
    """The rows that differ, and the largest difference of each field that does.

    Attributes
    ----------
    rows : `numpy.ndarray` [bool], shape (n,)
        Whether row ``i`` differs in any field.
    drift : `dict` [`str`, `float`]
        Largest absolute difference of each field that differs anywhere, in its
        unit; infinity where only one of the two numbers is NaN.
    """

    rows: BoolArray
    drift: dict[str, float] = field(default_factory=dict)

    def add(
        self, name: str, ours: npt.NDArray[Any], theirs: npt.NDArray[Any], owners: IntArray | None = None
    ) -> None:
        """Compare one field; value ``i`` belongs to row ``owners[i]``, or to row ``i``."""
        unequal = (ours != theirs) & ~((ours != ours) & (theirs != theirs))  # noqa: PLR0124 - NaN is not itself
        if not unequal.any():
            return
        self.rows[np.flatnonzero(unequal) if owners is None else owners[unequal]] = True
        largest = np.abs(ours[unequal].astype(np.float64) - theirs[unequal].astype(np.float64)).max()
        widen(self.drift, {name: float("inf" if np.isnan(largest) else largest)})


def widen(drift: dict[str, float], other: Mapping[str, float]) -> None:
    """Take the larger difference of each field into ``drift``."""
    for name, largest in other.items():
        drift[name] = max(largest, drift.get(name, 0.0))


def compare_positions(ours: ObjectPositions, theirs: ObjectPositions) -> Differences:
    """Return how two catalogues of the same objects, in the same order, differ."""
    differences = Differences(np.zeros(len(ours), np.bool_))
    for name in _POSITION_COLUMNS:
        differences.add(name, getattr(ours, name), getattr(theirs, name))
    return differences


def compare_tiles(ours: ObjectPositions, theirs: ObjectPositions) -> dict[str, float]:
    """Return the drift between two contents of one tile, empty where they are the same.

    ``objects`` counts those that only one of the two has.
    """
    ids, here, there = np.intersect1d(ours.diaObjectId, theirs.diaObjectId, return_indices=True)
    drift = compare_positions(ours.take(here), theirs.take(there)).drift
    n_alone = len(ours) + len(theirs) - 2 * len(ids)
    return drift | {"objects": float(n_alone)} if n_alone else drift


def compare_states(ours: ObjectStates, theirs: ObjectStates, calculator: StatisticsCalculator) -> Differences:
    """Return how states of the same objects, in the same order, differ: accumulators and light curves."""
    differences = Differences(np.zeros(len(ours), np.bool_))
    for name, one, other in _state_columns(ours, theirs, calculator):
        differences.add(name, one, other)
    _compare_curves(differences, ours.curves, theirs.curves)
    return differences


def _state_columns(ours: ObjectStates, theirs: ObjectStates, calculator: StatisticsCalculator) -> Iterator[Column]:
    for name in _STATE_COLUMNS:
        yield name, getattr(ours, name), getattr(theirs, name)
    for i, name in enumerate(calculator.object_field_names):
        yield name, ours.object_fields[:, i], theirs.object_fields[:, i]
    for i, name in enumerate(calculator.band_field_names):
        for band, letter in enumerate(BANDS):
            yield f"{letter}_{name}", ours.band_fields[:, band, i], theirs.band_fields[:, band, i]


def _compare_curves(differences: Differences, ours: LightCurves, theirs: LightCurves) -> None:
    """Compare light curves; the points of those of unequal length are not paired."""
    lengths, other_lengths = np.diff(ours.offsets), np.diff(theirs.offsets)
    differences.add("light curve points", lengths, other_lengths, np.arange(len(lengths)) // N_BANDS)
    slots = np.flatnonzero(lengths == other_lengths)
    owners = np.repeat(slots // N_BANDS, lengths[slots])
    ours, theirs = ours.take(slots), theirs.take(slots)
    for name in LightCurves.COLUMNS:
        differences.add(f"light curve {name}", getattr(ours, name), getattr(theirs, name), owners)
