"""How well an association agrees with the truth.

Two partitions of the same sources are compared: into objects and into sources
of light. The definitions are those of clustering by majority (Manning et al.
2008, *Introduction to Information Retrieval*, 16.3), read both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import IntArray

KINDS: Final = ("variable", "transient", "asteroid", "artifact")

STATIC_KINDS: Final = ("variable", "transient")
"""The kinds whose detections belong in one DIAObject."""

TRUTH_SCHEMA: Final = pa.schema(
    [
        pa.field("diaSourceId", pa.int64(), nullable=False),
        # The source of light; an artifact is one of its own and has its diaSourceId.
        pa.field("truth_id", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # 0 unless the detection is an asteroid whose position was predicted.
        pa.field("ssObjectId", pa.int64(), nullable=False),
        # Where the light came from at that time, degrees.
        pa.field("ra", pa.float64(), nullable=False),
        pa.field("dec", pa.float64(), nullable=False),
    ]
)
"""Columns of a truth table: one row a detection."""

UNASSOCIATED = 0
"""The diaObjectId of a source that belongs to no object."""


@dataclass(frozen=True, slots=True)
class AssociationScore:
    """An association against the truth.

    Attributes
    ----------
    n_sources, n_objects, n_truths : `int`
        Sources with a truth, objects they were given, and sources of light.
    purity : `float`
        Fraction of the associated sources whose truth is the majority truth of
        their object. Between equal counts the lower truth id is the majority.
        NaN when nothing is associated.
    completeness : `float`
        Fraction of the detections of a source of light that are in the object
        holding most of them, over those with two detections or more; a source
        without an object counts against it. NaN when there are none.
    n_impure_objects : `int`
        Objects that hold sources of more than one truth.
    n_duplicate_objects : `int`
        Objects beyond the first among those with the same majority truth.
    n_lost_sources : `int`
        Sources without an object.
    n_lost_truths : `int`
        Sources of light with two detections or more that are the majority of
        no object.
    """

    n_sources: int
    n_objects: int
    n_truths: int
    purity: float
    completeness: float
    n_impure_objects: int
    n_duplicate_objects: int
    n_lost_sources: int
    n_lost_truths: int


def score(
    diaSourceId: IntArray, diaObjectId: IntArray, truth_diaSourceId: IntArray, truth_id: npt.NDArray[np.generic]
) -> AssociationScore:
    """Compare an association with the truth.

    Parameters
    ----------
    diaSourceId, diaObjectId : `numpy.ndarray` [int64], shape (n,)
        The association; 0 for a source without an object. Sources of which
        the truth says nothing are left out.
    truth_diaSourceId : `numpy.ndarray` [int64], shape (m,)
        Every source that counts, in any order. One that the association does
        not mention is without an object.
    truth_id : `numpy.ndarray`, shape (m,)
        What each really is: numbers or names, such as a survey's own ids.

    Returns
    -------
    score : `AssociationScore`

    Raises
    ------
    ValueError
        If the columns differ in length or a diaSourceId occurs twice.
    """
    objects = _look_up(diaSourceId, diaObjectId, truth_diaSourceId)
    truths, truth = np.unique(truth_id, return_inverse=True)
    if len(truth) != len(objects):
        raise ValueError(f"{len(truth)} truth ids for {len(objects)} sources")
    associated = objects != UNASSOCIATED
    object_ids, object_index = np.unique(objects[associated], return_inverse=True)
    pair_object, pair_truth, pair_count = _pairs(object_index, truth[associated])
    majority = _largest(pair_object, pair_truth, pair_count)
    main = _largest(pair_truth, pair_object, pair_count)
    n_detections = np.bincount(truth, minlength=len(truths))
    repeated = n_detections >= 2
    in_main = np.zeros(len(truths), np.int64)
    in_main[pair_truth[main]] = pair_count[main]
    found = np.unique(pair_truth[majority])
    return AssociationScore(
        n_sources=len(objects),
        n_objects=len(object_ids),
        n_truths=len(truths),
        purity=_fraction(pair_count[majority].sum(), associated.sum()),
        completeness=_fraction(in_main[repeated].sum(), n_detections[repeated].sum()),
        n_impure_objects=int(np.count_nonzero(np.bincount(pair_object) > 1)),
        n_duplicate_objects=len(object_ids) - len(found),
        n_lost_sources=int(np.count_nonzero(~associated)),
        n_lost_truths=int(np.count_nonzero(repeated)) - int(np.count_nonzero(repeated[found])),
    )


def score_against(
    diaSourceId: IntArray, diaObjectId: IntArray, truth: pa.Table, kinds: Sequence[str] = STATIC_KINDS
) -> AssociationScore:
    """Compare an association with a simulation's truth, over some kinds of sources.

    Asteroids and artifacts are left out by default: no association by position
    could or should put two of their detections together. They still harm the
    score where they take the place of what counts.

    Parameters
    ----------
    diaSourceId, diaObjectId : `numpy.ndarray` [int64], shape (n,)
        As in `score`.
    truth : `pyarrow.Table`
        Columns of `~stream_assoc.tools.simulation.truth.TRUTH_SCHEMA`.
    kinds : `~collections.abc.Sequence` [`str`]
        Of `~stream_assoc.tools.simulation.truth.KINDS`.
    """
    counted = truth.filter(pc.is_in(truth.column("kind"), pa.array(list(kinds), pa.string())))
    ids, labels = (counted.column(name).to_numpy() for name in ("diaSourceId", "truth_id"))
    return score(diaSourceId, diaObjectId, ids, labels)


def _look_up(keys: IntArray, values: IntArray, wanted: IntArray) -> IntArray:
    if len(keys) != len(values):
        raise ValueError(f"{len(keys)} diaSourceId and {len(values)} diaObjectId")
    order = np.argsort(keys)
    ordered = keys[order]
    if np.any(ordered[1:] == ordered[:-1]) or len(np.unique(wanted)) != len(wanted):
        raise ValueError("a diaSourceId occurs twice: it can have one object and one truth only")
    if not len(keys):
        return np.full(len(wanted), UNASSOCIATED, np.int64)
    place = np.minimum(np.searchsorted(ordered, wanted), len(keys) - 1)
    return np.where(ordered[place] == wanted, values[order[place]], UNASSOCIATED)


def _pairs(left: IntArray, right: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the distinct pairs of two columns, and how often each occurs."""
    pairs, counts = np.unique(np.stack([left, right]), axis=1, return_counts=True)
    return pairs[0], pairs[1], counts


def _largest(group: IntArray, tie_break: IntArray, count: IntArray) -> IntArray:
    """Return the row with the greatest count in each group."""
    order = np.lexsort((tie_break, -count, group))
    return order[np.unique(group[order], return_index=True)[1]]


def _fraction(part: np.integer, whole: np.integer) -> float:
    return float(part) / float(whole) if whole else float("nan")
