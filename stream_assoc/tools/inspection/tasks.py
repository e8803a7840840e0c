"""The inspection of an APDB, one table after the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream_assoc.core.model.types import IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.stores.apdb.reading.inspection import ApdbInspection, Fault, Find, Part
from stream_assoc.tools.inspection.folding import Folding, portions
from stream_assoc.tools.inspection.placement import misplaced
from stream_assoc.tools.inspection.sampling import Sampling, smallest

_OBJECTS_A_PORTION: Final = 1000
"""Bounds the memory of histories and states, not the result."""
_MOST_REMEMBERED: Final = 1_000_000
"""Of misplaced objects; beyond, one is also told as missing."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a bit of work has brought.

    Attributes
    ----------
    done : `int`
        How much of the task is done so far.
    finds : sequence of `Find`
    """

    done: int
    finds: Sequence[Find] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A part of the inspection.

    Attributes
    ----------
    what : `str`
        What is done, or counted.
    total : `int` or `None`
        About how much there is to do.
    steps : iterator of `Step`
        Doing it.
    """

    what: str
    total: int | None
    steps: Iterator[Step]


@dataclass(slots=True)
class _Memory:
    """What one task leaves for a later one: which objects are under a wrong pixel, and the sample."""

    misplaced: set[int] = field(default_factory=set)
    sample: IntArray = field(default_factory=lambda: np.empty(0, np.int64))


def tasks(inspection: ApdbInspection, calculator: StatisticsCalculator, sampling: Sampling) -> Iterator[Task]:
    """Yield the tasks of an inspection, each to be finished before the next is asked for.

    Parameters
    ----------
    inspection : `ApdbInspection`
    calculator : `StatisticsCalculator`
        With the plugins of the daemon that stored the objects.
    sampling : `Sampling`
        The objects whose statistics are folded anew.

    Raises
    ------
    ApdbUnavailableError
        If the database went away.
    """
    memory = _Memory()
    sizes = {part.table: part.n_rows for part in inspection.parts()}
    n_objects = sizes.get("DiaObjectLast")
    if Fault.WRONG_PIXEL_ID in inspection.answers:
        yield Task("pixels of DiaObjectLast", n_objects, _place(inspection, memory, sampling))
    for part in inspection.parts():
        yield Task(f"{part.table} by {part.column}", part.n_rows, _read(inspection, part, memory))
    if Fault.WRONG_SINGLE_SOURCE_COUNT in inspection.answers:
        yield Task("objects with one source", None, _count(inspection))
    if Fault.WRONG_STATISTICS in inspection.answers:
        chosen = _all(inspection) if sampling.n_objects is None else portions(memory.sample, _OBJECTS_A_PORTION)
        total = n_objects if sampling.n_objects is None else len(memory.sample)
        yield Task("statistics", total, _fold(inspection, calculator, chosen))


def _place(inspection: ApdbInspection, memory: _Memory, sampling: Sampling) -> Iterator[Step]:
    done = 0
    for placements in inspection.placements():
        done += len(placements)
        finds = list(misplaced(placements))
        if len(memory.misplaced) < _MOST_REMEMBERED:
            memory.misplaced.update(find.key["diaObjectId"] for find in finds)
        if sampling.n_objects is not None:
            memory.sample = smallest(memory.sample, placements.diaObjectId, sampling)
        yield Step(done, finds)


def _read(inspection: ApdbInspection, part: Part, memory: _Memory) -> Iterator[Step]:
    done = 0
    for stretch in inspection.stretches(part):
        done += stretch.n_rows
        yield Step(done, [find for find in stretch.finds if not _is_told(find, memory)])


def _is_told(find: Find, memory: _Memory) -> bool:
    """Tell whether an object seems to be missing only because one of its rows is under a wrong pixel."""
    return find.fault is Fault.OPEN_VERSION_NOT_IN_LAST and find.key["diaObjectId"] in memory.misplaced


def _count(inspection: ApdbInspection) -> Iterator[Step]:
    counted = 0
    for some in inspection.single_source_objects():
        counted += some
        yield Step(counted)
    noted = inspection.single_source_counter()
    if noted != counted:
        yield Step(counted, [Find(Fault.WRONG_SINGLE_SOURCE_COUNT, {}, {"counter": noted, "objects": counted})])


def _all(inspection: ApdbInspection) -> Iterator[IntArray]:
    for placements in inspection.placements():
        yield from portions(np.unique(placements.diaObjectId), _OBJECTS_A_PORTION)


def _fold(inspection: ApdbInspection, calculator: StatisticsCalculator, some: Iterable[IntArray]) -> Iterator[Step]:
    folding, done = Folding(inspection, calculator), 0
    for ids in some:
        done += len(ids)
        yield Step(done, list(folding.unequal(ids)))
