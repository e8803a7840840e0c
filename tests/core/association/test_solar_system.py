import numpy as np
import pytest

from stream_assoc.core.association.associator import SourcePositions
from stream_assoc.core.association.solar_system import SolarSystemAssociator
from stream_assoc.core.exceptions import AssociationConfigError, TooManyCandidatesError
from stream_assoc.core.model.batch import SolarSystemObjects

from .catalogues import ARCSEC


def sources_at(*offsets: float) -> SourcePositions:
    dec = 10.0 + np.array(offsets) * ARCSEC
    missing = np.full(len(dec), np.nan)
    return SourcePositions(np.full(len(dec), 359.99999), dec, missing, missing)


def objects_at(*offsets: float) -> SolarSystemObjects:
    dec = 10.0 + np.array(offsets) * ARCSEC
    return SolarSystemObjects(np.arange(len(dec)) + 2**60, np.full(len(dec), -0.00001), dec)


def test_closest_first_and_one_to_one() -> None:
    result = SolarSystemAssociator().associate(sources_at(0.0, 0.5, 5.0), objects_at(0.4, 1.3))
    assert result.dtype == np.int64
    assert result.tolist() == [-1, 0, -1]


def test_the_second_best_is_taken_when_the_best_is_gone() -> None:
    assert SolarSystemAssociator().associate(sources_at(0.0, 0.5), objects_at(0.4, -0.7)).tolist() == [1, 0]


def test_ties_go_to_the_smaller_id_then_to_the_first_source() -> None:
    objects = objects_at(0.0, 0.0)
    reverse = SolarSystemObjects(objects.ssObjectId[::-1].copy(), objects.ra, objects.dec)
    assert SolarSystemAssociator().associate(sources_at(0.3), objects).tolist() == [0]
    assert SolarSystemAssociator().associate(sources_at(0.3), reverse).tolist() == [1]
    assert SolarSystemAssociator().associate(sources_at(0.3, 0.3), objects_at(0.0)).tolist() == [0, -1]


def test_the_radius_and_missing_positions() -> None:
    assert SolarSystemAssociator(2.0).associate(sources_at(1.9, np.nan), objects_at(0.0, np.nan)).tolist() == [0, -1]
    assert SolarSystemAssociator(1.0).associate(sources_at(1.9), objects_at(0.0)).tolist() == [-1]
    assert SolarSystemAssociator().associate(sources_at(0.0), SolarSystemObjects.none()).tolist() == [-1]


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, 3601.0])
def test_an_impossible_radius_is_refused(radius: float) -> None:
    with pytest.raises(AssociationConfigError, match="solar_system_radius_arcsec"):
        SolarSystemAssociator(radius)


def test_more_pairs_than_are_allowed_are_refused_before_memory_is_taken_for_them() -> None:
    associator = SolarSystemAssociator(max_candidate_pairs=2000)
    with pytest.raises(TooManyCandidatesError, match="max_candidate_pairs"):
        associator.associate(sources_at(*[0.0] * 2_000), objects_at(*[0.0] * 10_000))
    assert associator.associate(sources_at(*[0.0] * 40), objects_at(*[0.0] * 50)).tolist() == list(range(40))
