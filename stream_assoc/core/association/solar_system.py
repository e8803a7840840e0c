"""Which sources are known solar-system objects."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from stream_assoc.core.association.associator import SourcePositions
from stream_assoc.core.association.candidates import MAX_PAIRS, find_candidates
from stream_assoc.core.association.scores import ARCSEC_PER_DEGREE
from stream_assoc.core.exceptions import AssociationConfigError
from stream_assoc.core.model.batch import SolarSystemObjects
from stream_assoc.core.model.types import IntArray


@dataclass(frozen=True, slots=True)
class SolarSystemAssociator:
    """Gives predicted solar-system objects the sources nearest to them.

    Attributes
    ----------
    radius_arcsec : `float`
        Largest separation of a source from a predicted position.
    max_candidate_pairs : `int`
        A batch with more pairs within the radius is refused.

    Raises
    ------
    AssociationConfigError
        If the radius is not above 0 and at most a degree.
    """

    radius_arcsec: float = 1.0
    max_candidate_pairs: int = MAX_PAIRS

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check the radius, or raise `AssociationConfigError`."""
        if not (math.isfinite(self.radius_arcsec) and 0.0 < self.radius_arcsec <= ARCSEC_PER_DEGREE):
            raise AssociationConfigError(
                f"association.solar_system_radius_arcsec = {self.radius_arcsec} must be above 0 and at most 3600"
            )

    def associate(self, sources: SourcePositions, solar_system_objects: SolarSystemObjects) -> IntArray:
        """Match closest first, one source to one object.

        Parameters
        ----------
        sources : `SourcePositions`
        solar_system_objects : `SolarSystemObjects`

        Returns
        -------
        solar_system_row : `numpy.ndarray` [int64], shape (n_sources,)
            Row of the solar-system object, or -1. Of all pairs within the
            radius the closest is taken, then the closest of those that share
            neither its source nor its object, and so on. Of equally close
            pairs the one with the smaller ssObjectId comes first, then the
            source that comes first. Positions that are missing match nothing.

        Raises
        ------
        TooManyCandidatesError
            If more pairs are within the radius than the settings allow.
        """
        candidates = find_candidates(
            sources.ra,
            sources.dec,
            solar_system_objects.ra,
            solar_system_objects.dec,
            self.radius_arcsec,
            max_pairs=self.max_candidate_pairs,
        )
        ids = solar_system_objects.ssObjectId[candidates.object_row]
        order = np.lexsort((candidates.source_row, ids, candidates.chord))
        n_objects = len(solar_system_objects)
        return _first_come(order, candidates.source_row, candidates.object_row, len(sources), n_objects)


@njit(cache=True, error_model="numpy")
def _first_come(
    order: IntArray, source_row: IntArray, object_row: IntArray, n_sources: int, n_objects: int
) -> IntArray:
    """Return the object of each source, or -1: pair after pair is taken whose source and object are both free."""
    result, taken = np.full(n_sources, -1, np.int64), np.zeros(n_objects, np.bool_)
    for pair in order:
        source, solar = source_row[pair], object_row[pair]
        if result[source] < 0 and not taken[solar]:
            result[source] = solar
            taken[solar] = True
    return result
