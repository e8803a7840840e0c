"""Whether the statistics of an object are the fold of its stored sources.

Equality is that of `stream_assoc.tools.maintenance.differences`; a column of
float32 is compared as it is stored.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.pipeline.forced import rebuilt_states
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection, Fault, Find, Value
from stream_assoc.tools.maintenance.differences import Differences

_COUNTED: Final = "nDiaSources"
"""Checked for every object, in a sample or not."""


@dataclass(frozen=True, slots=True)
class Folding:
    """Folds objects anew and compares.

    Attributes
    ----------
    inspection : `ApdbInspection`
    calculator : `StatisticsCalculator`
        With the plugins of the daemon that stored the objects.
    """

    inspection: ApdbInspection
    calculator: StatisticsCalculator

    def unequal(self, diaObjectId: IntArray) -> Iterator[Find]:
        """Yield those of these objects whose stored statistics are not the fold of their sources."""
        asked = self.inspection.comparable(diaObjectId)
        states = rebuilt_states(self.inspection.reader, self.calculator, asked)
        states = states.take(np.flatnonzero(self.calculator.positions(states).nDiaSources))
        if not len(states):
            return
        names, folded = self._folded(states)
        stored = self.inspection.stored_statistics(states.diaObjectId, names)
        for row in np.flatnonzero(_differ(folded, stored)).tolist():
            differing = dict(_told(names, stored[row], folded[row]))
            yield Find(Fault.WRONG_STATISTICS, {"diaObjectId": int(states.diaObjectId[row])}, differing)

    def _folded(self, states: ObjectStates) -> tuple[list[str], FloatArray]:
        """Return the columns to compare and their values, one row a state."""
        computed = self.calculator.statistics(states).keys() - {_COUNTED}
        tables = self.calculator.rows(states)
        names = [
            (table, name)
            for table in tables
            for name in table.column_names
            if name in computed and name in self.inspection.statistics_columns
        ]
        columns = [_as_stored(table.column(name)) for table, name in names]
        return [name for _, name in names], np.stack(columns, axis=1)


def _as_stored(column: pa.ChunkedArray) -> FloatArray:
    return np.asarray(column.to_numpy(), np.float64)


def _differ(folded: FloatArray, stored: FloatArray) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    differences = Differences(np.zeros(len(folded), np.bool_))
    for column in range(folded.shape[1]):
        differences.add(str(column), folded[:, column], stored[:, column])
    return differences.rows


def _told(names: Sequence[str], stored: FloatArray, folded: FloatArray) -> Iterator[tuple[str, Value]]:
    """Yield the columns of one object that differ, as they are stored and as they were folded."""
    for name, one, other in zip(names, stored.tolist(), folded.tolist(), strict=True):
        if one != other and not (math.isnan(one) and math.isnan(other)):
            yield name, _value(one)
            yield f"{name} folded", _value(other)


def _value(number: float) -> Value:
    # JSON knows neither.
    if math.isnan(number):
        return None
    return str(number) if math.isinf(number) else number


def portions(ids: IntArray, size: int) -> Sequence[IntArray]:
    """Return ids in pieces of at most a size."""
    return np.split(ids, range(size, len(ids), size)) if len(ids) else []
