"""Object states of a micro-batch in memory, the newest of each object."""

from itertools import accumulate

import numpy as np

from stream_assoc.core.model.state_layout import StateLayout
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates


class StagedStates:
    """States as the pieces they came in; packing them is left to whoever stores them.

    Parameters
    ----------
    layout : `~stream_assoc.core.model.state_layout.StateLayout`
        What the states are made of.
    """

    def __init__(self, layout: StateLayout) -> None:
        self._pieces = [layout.empty_states()]
        self._cells = [np.empty(0, np.int64)]
        self._rows: dict[int, int] = {}
        self._n_kept = 0

    def __len__(self) -> int:
        return len(self._rows)

    def keep(self, states: ObjectStates, cells: IntArray) -> None:
        """Keep these states and the cell of each, instead of older ones of the same objects."""
        if not len(states):
            return
        end = self._n_kept + len(states)
        self._rows.update(zip(states.diaObjectId.tolist(), range(self._n_kept, end), strict=True))
        self._pieces.append(states)
        self._cells.append(cells)
        self._n_kept = end

    def find(self, diaObjectId: IntArray, validityStartMjdTai: FloatArray) -> CachedStates:
        """Return those states that are kept for exactly the given object version."""
        rows = np.fromiter((self._rows.get(key, -1) for key in diaObjectId.tolist()), np.int64, len(diaObjectId))
        kept = np.flatnonzero(rows >= 0)
        states = self._take(rows[kept])
        current = states.validityStartMjdTai == validityStartMjdTai[kept]
        if current.all():
            return CachedStates(kept, states)
        return CachedStates(kept[current], states.take(np.flatnonzero(current)))

    def newest(self) -> tuple[ObjectStates, IntArray]:
        """Return the newest state of each object, and its cell."""
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        return self._take(rows), np.concatenate(self._cells)[rows]

    def _take(self, rows: IntArray) -> ObjectStates:
        """Return the states of these rows of all pieces together."""
        begins = np.array([*accumulate(map(len, self._pieces), initial=0)], np.int64)
        # The first piece is empty: what is asked of none comes from there.
        piece = np.searchsorted(begins, rows, side="right") - 1
        if not len(rows) or (piece == piece[0]).all():
            index = int(piece[0]) if len(rows) else 0
            return _chosen(self._pieces[index], rows - begins[index])
        order = np.argsort(piece, kind="stable")
        parts = [
            self._pieces[index].take(rows[piece == index] - begins[index]) for index in np.unique(piece).tolist()
        ]
        return ObjectStates.concatenate(parts).take(np.argsort(order))


def _chosen(states: ObjectStates, rows: IntArray) -> ObjectStates:
    """Return these rows; without copying anything where they are all, in order."""
    if len(rows) == len(states) and (rows == np.arange(len(rows))).all():
        return states
    return states.take(rows)
