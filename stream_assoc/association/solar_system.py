"""Which sources are known solar-system objects."""

import math
from dataclasses import dataclass

import numpy as np

from stream_assoc.association.associator import SourcePositions
from stream_assoc.association.candidates import find_candidates
from stream_assoc.association.exceptions import AssociationConfigError
from stream_assoc.association.scores import ARCSEC_PER_DEGREE
from stream_assoc.model.batch import SolarSystemObjects
from stream_assoc.model.types import IntArray


@dataclass(frozen=True, slots=True)
class SolarSystemAssociator:
    """Gives predicted solar-system objects the sources nearest to them.

    Attributes
    ----------
    radius_arcsec : `float`
        Largest separation of a source from a predicted position.

    Raises
    ------
    AssociationConfigError
        If the radius is not above 0 and at most a degree.
    """

    radius_arcsec: float = 1.0

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
        """
        candidates = find_candidates(
            sources.ra, sources.dec, solar_system_objects.ra, solar_system_objects.dec, self.radius_arcsec
        )
        ids = solar_system_objects.ssObjectId[candidates.object_row]
        result = np.full(len(sources), -1, np.int64)
        taken = np.zeros(len(solar_system_objects), dtype=np.bool_)
        for pair in np.lexsort((candidates.source_row, ids, candidates.chord)):
            source, solar = candidates.source_row[pair], candidates.object_row[pair]
            if result[source] < 0 and not taken[solar]:
                result[source] = solar
                taken[solar] = True
        return result
