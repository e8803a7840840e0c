"""Rows of one table in the APDB and in the PPDB, compared; pure.

Numbers are equal if they compare equal or are both NaN. Between two kinds of
database, where SQLite stores a NaN as NULL and a float32 as a double, a NaN
equals NULL, and columns of single precision are compared in it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from stream_assoc.tools.replica.records import Key, UpdateRecord, stopping


@dataclass(frozen=True, slots=True)
class Pair:
    """What both databases hold of one key.

    Attributes
    ----------
    key : `tuple`
        Values of the key columns.
    apdb, ppdb : mapping or `None`
        The row, by column; `None` where there is none.
    chunk : `int` or `None`
        The chunk not replicated yet that brings the row; `None` if its chunk
        has been replicated, or is no longer known.
    """

    key: Key
    apdb: Mapping[str, Any] | None
    ppdb: Mapping[str, Any] | None
    chunk: int | None = None


class Verdict(Enum):
    """How a row stands."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"
    EXTRA = "extra"
    AWAITING = "awaiting"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found out about rows that belong together.

    Attributes
    ----------
    rows : sequence
        Each pair with its verdict, and the names of its columns that differ.
    notes : sequence of `Key`
        Rows that the PPDB has and a chunk not replicated yet brings again,
        which stops the replicator.
    records : sequence of `UpdateRecord`
        Update records that can only stop the replicator.
    """

    rows: Sequence[tuple[Pair, Verdict, Sequence[str]]]
    notes: Sequence[Key]
    records: Sequence[UpdateRecord]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the values of a table are compared.

    Attributes
    ----------
    table : `str`
        Its name.
    columns : sequence of `str`
        The columns that both databases have.
    single : set of `str`
        Those of single precision.
    mixed : `bool`
        Whether the databases are of two kinds.
    """

    table: str
    columns: Sequence[str]
    single: frozenset[str] = frozenset()
    mixed: bool = False

    def differing(self, apdb: Mapping[str, Any], ppdb: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the columns in which two rows differ."""
        if apdb == ppdb:
            return ()
        return tuple(
            name for name in self.columns if apdb[name] != ppdb[name] and not self._same(name, apdb[name], ppdb[name])
        )

    def _same(self, name: str, apdb: object, ppdb: object) -> bool:
        nothing = [value is None or (isinstance(value, float) and math.isnan(value)) for value in (apdb, ppdb)]
        if any(nothing):
            return all(nothing) and (self.mixed or (apdb is None) == (ppdb is None))
        if self.mixed and name in self.single and isinstance(apdb, float) and isinstance(ppdb, float):
            with np.errstate(over="ignore"):
                return bool(np.float32(apdb) == np.float32(ppdb))
        return False


def pairs(
    apdb: Iterable[tuple[Key, Mapping[str, Any], int | None]], ppdb: Iterable[tuple[Key, Mapping[str, Any]]]
) -> Iterator[Pair]:
    """Merge the rows of both databases, each in ascending order of its keys.

    Parameters
    ----------
    apdb : iterable
        Key, row, and the chunk not replicated yet that brings it.
    ppdb : iterable
        Key and row.
    """
    both = merge(
        ((key, True, row, chunk) for key, row, chunk in apdb),
        ((key, False, row, None) for key, row in ppdb),
        key=itemgetter(0),
    )
    for key, group in groupby(both, key=itemgetter(0)):
        rows = {is_apdb: (row, chunk) for _, is_apdb, row, chunk in group}
        of_apdb, chunk = rows.get(True, (None, None))
        yield Pair(key, of_apdb, rows.get(False, (None, None))[0], chunk)


def judged(
    merged: Iterable[Pair], comparison: Comparison, records: Mapping[Key, Sequence[UpdateRecord]]
) -> Iterator[Judgement]:
    """Judge rows, those of one object or source together.

    Parameters
    ----------
    merged : iterable of `Pair`
        Ascending by key.
    comparison : `Comparison`
        How their values are compared.
    records : mapping
        Update records of chunks not replicated yet, by key.
    """
    unseen = dict(records)
    is_object = comparison.table == "DiaObject"
    for _, group in groupby(merged, key=lambda pair: pair.key[:1]):
        if is_object:
            versions = list(group)
            yield _judge_object(versions, comparison, unseen.pop(versions[0].key[:1], ()))
        else:
            for pair in group:
                yield _judge_source(pair, comparison, unseen.pop(pair.key, ()))
    for of_nothing in unseen.values():
        yield Judgement((), (), of_nothing)


def _judge_object(versions: Sequence[Pair], comparison: Comparison, records: Sequence[UpdateRecord]) -> Judgement:
    """Judge all versions of an object: a chunk to come may close the open one, by a record or by a version."""
    brought = [pair for pair in versions if pair.chunk is not None and pair.ppdb is None]
    is_open = any(pair.ppdb is not None and pair.ppdb["validityEndMjdTai"] is None for pair in versions)
    opening = [pair.chunk for pair in brought if pair.apdb is not None and pair.apdb["validityEndMjdTai"] is None]
    stopped = stopping(records, is_there=is_open, arrivals=[chunk for chunk in opening if chunk is not None])
    changes = bool(brought) or len(stopped) < len(records)
    rows = []
    for pair in versions:
        may_change = changes and pair.ppdb is not None and pair.ppdb["validityEndMjdTai"] is None
        rows.append(_verdict(pair, comparison, may_change=may_change))
    return Judgement(rows, [pair.key for pair in versions if _comes_again(pair)], stopped)


def _judge_source(pair: Pair, comparison: Comparison, records: Sequence[UpdateRecord]) -> Judgement:
    def is_found(row: Mapping[str, Any] | None) -> bool:
        return row is not None and row["diaObjectId"] is not None

    arrivals = [pair.chunk] if pair.chunk is not None and is_found(pair.apdb) else []
    stopped = stopping(records, is_there=is_found(pair.ppdb), arrivals=arrivals)
    row = _verdict(pair, comparison, may_change=len(stopped) < len(records))
    return Judgement([row], [pair.key] if _comes_again(pair) else [], stopped)


def _comes_again(pair: Pair) -> bool:
    return pair.chunk is not None and pair.ppdb is not None


def _verdict(pair: Pair, comparison: Comparison, *, may_change: bool) -> tuple[Pair, Verdict, Sequence[str]]:
    if pair.apdb is None:
        return pair, Verdict.EXTRA, ()
    if pair.ppdb is None:
        return pair, Verdict.MISSING if pair.chunk is None else Verdict.AWAITING, ()
    if not (differing := comparison.differing(pair.apdb, pair.ppdb)):
        return pair, Verdict.EQUAL, ()
    return pair, Verdict.AWAITING if may_change else Verdict.DIFFERENT, differing
