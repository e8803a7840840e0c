"""Rows of a table that are set aside: which, how many, and why."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray

N_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that were set aside for one reason.

    Attributes
    ----------
    reason : `str`
    n_rows : `int`
    rows : `tuple` [`int`, ...]
        The first of them, counted from 0.
    """

    reason: str
    n_rows: int
    rows: tuple[int, ...]


class Sieve:
    """Keeps count of the rows of a table that are still believed. A row is set aside once, for the first reason.

    Parameters
    ----------
    n_rows : `int`

    Attributes
    ----------
    kept : `numpy.ndarray` [bool], shape (n_rows,)
        Rows that no check has set aside.
    """

    def __init__(self, n_rows: int) -> None:
        self.kept: BoolArray = np.ones(n_rows, np.bool_)
        self._left_out: dict[str, LeftOut] = {}

    def leave_out(self, failing: BoolArray, reason: str) -> None:
        """Set aside the rows that fail a check and are still kept."""
        rows = np.flatnonzero(failing & self.kept)
        if not len(rows):
            return
        self.kept[rows] = False
        before = self._left_out.get(reason, LeftOut(reason, 0, ()))
        examples = (*before.rows, *rows[:N_EXAMPLES].tolist())[:N_EXAMPLES]
        self._left_out[reason] = LeftOut(reason, before.n_rows + len(rows), examples)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was set aside, in the order of the checks."""
        return tuple(self._left_out.values())
