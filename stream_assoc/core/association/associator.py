"""Association of the DIASources of a batch with the DIAObjects around them."""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from stream_assoc.core.association.candidates import MAX_PAIRS, Candidates, find_candidates
from stream_assoc.core.association.matching import match_at_least_cost
from stream_assoc.core.association.scores import (
    ARCSEC_PER_DEGREE,
    any_usable,
    negative_log_likelihood,
    runner_up_margins,
    variances,
)
from stream_assoc.core.exceptions import AssociationConfigError
from stream_assoc.core.model.objects import ObjectPositions
from stream_assoc.core.model.positions import has_position
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.vectors import ARCSEC_PER_RADIAN

Mode = Literal["nll", "chord", "none"]

_LEAST_SIGMA_ARCSEC: Final = 1e-9
"""Far below every measurement; squares of less vanish, and no score is finite without them."""


@dataclass(frozen=True, slots=True)
class AssociationConfig:
    """Settings of association; the defaults are upstream's.

    Attributes
    ----------
    max_distance_arcsec : `float`
        Largest separation of a source and its object.
    sigma_floor_arcsec : `float`
        Least combined position error of a pair.
    fallback_sigma_arcsec : `float`
        Position error of a source or object that has none.
    max_candidate_pairs : `int`
        A batch with more pairs within the radius is refused.
    """

    max_distance_arcsec: float = 1.0
    sigma_floor_arcsec: float = 0.05
    fallback_sigma_arcsec: float = 0.2
    max_candidate_pairs: int = MAX_PAIRS


@dataclass(frozen=True, slots=True)
class SourcePositions:
    """Where the sources of a batch are.

    Attributes
    ----------
    ra, dec, raErr, decErr : `numpy.ndarray` [float64], shape (n,)
        Degrees, NaN where missing.
    """

    ra: FloatArray
    dec: FloatArray
    raErr: FloatArray
    decErr: FloatArray

    def __len__(self) -> int:
        return len(self.ra)

    def take(self, rows: IntArray | BoolArray) -> "SourcePositions":
        """Return the chosen rows, by index or by mask."""
        return SourcePositions(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Association:
    """What was matched with what, and why.

    Attributes
    ----------
    object_row : `numpy.ndarray` [int64], shape (n_sources,)
        Row of the matched object, or -1.
    dropped : `numpy.ndarray` [bool], shape (n_sources,)
        Sources set aside because their position is missing or impossible.
    separation_arcsec, score : `numpy.ndarray` [float64], shape (n_sources,)
        Of the match; NaN where there is none.
    margin : `numpy.ndarray` [float64], shape (n_sources,)
        Score of the best of the source's other candidate objects (the
        runner-up) minus the score of its match: small when the choice was
        close, negative when the source gave a better object up to another
        source, inf when it had no other candidate, NaN when it has no match.
    mode : `str`
        What a score is: ``nll``, the negative log likelihood of the
        coordinate differences; ``chord``, the distance of the unit vectors;
        ``none`` when no pair was close enough to be scored.
    unmatched_cost : `float`
        What each unmatched source costs, the same in the whole batch; NaN in mode ``none``.
    total_cost : `float`
        The minimum that was reached: scores of the matches plus
        ``unmatched_cost`` for each source left that is not dropped; NaN in mode ``none``.
    candidates : `Candidates`
        Every pair within the radius, matched or not.
    candidate_score : `numpy.ndarray` [float64], shape (n_pairs,)
        Score of each.
    """

    object_row: IntArray
    dropped: BoolArray
    separation_arcsec: FloatArray
    score: FloatArray
    margin: FloatArray
    mode: Mode
    unmatched_cost: float
    total_cost: float
    candidates: Candidates
    candidate_score: FloatArray


class Associator:
    """Gives each source at most one object, and each object at most one source, at the least total cost.

    The semantics are those of upstream's ``AssociationTask`` of June 2026. A
    pair is a candidate when its unit vectors are at most
    ``max_distance_arcsec`` (in radians) apart. Its score is the negative log
    likelihood of the coordinate differences

        0.5 * (dra**2 / Vra + ddec**2 / Vdec) + 0.5 * ln(Vra * Vdec)

    in degrees without cos(dec), where V is the sum of both squared errors and
    not below the squared floor, when either catalogue has at least one usable
    (finite, positive) raErr and decErr each; otherwise the chord itself. A
    source may stay alone at a cost that is one scalar for the whole batch: the
    largest score plus 1, or 1.01 times the radius for chords.

    The result does not depend on the order of either catalogue, as long as
    the optimum is unique. Sources and objects without a usable position
    influence nothing.

    Parameters
    ----------
    config : `AssociationConfig`

    Raises
    ------
    AssociationConfigError
        From `validate`, which the constructor calls.
    """

    def __init__(self, config: AssociationConfig | None = None) -> None:
        self.config = config if config is not None else AssociationConfig()
        self.validate()

    def validate(self) -> None:
        """Check the settings.

        Raises
        ------
        AssociationConfigError
            Names the setting that is not positive, a radius of more than a
            degree, or a position error that no score can be made of.
        """
        if self.config.max_candidate_pairs < 1:
            raise AssociationConfigError(
                f"association.max_candidate_pairs = {self.config.max_candidate_pairs} must be at least 1"
            )
        for name in ("max_distance_arcsec", "sigma_floor_arcsec", "fallback_sigma_arcsec"):
            value = getattr(self.config, name)
            if not (math.isfinite(value) and value > 0.0):
                raise AssociationConfigError(f"association.{name} = {value} must be a positive number of arcseconds")
        for name in ("sigma_floor_arcsec", "fallback_sigma_arcsec"):
            value = getattr(self.config, name)
            if not _LEAST_SIGMA_ARCSEC <= value <= ARCSEC_PER_DEGREE:
                raise AssociationConfigError(
                    f"association.{name} = {value} must be from {_LEAST_SIGMA_ARCSEC} to {ARCSEC_PER_DEGREE:.0f} "
                    "arcseconds"
                )
        if self.config.max_distance_arcsec > ARCSEC_PER_DEGREE:
            raise AssociationConfigError(
                f"association.max_distance_arcsec = {self.config.max_distance_arcsec} is more than a degree"
            )

    def associate(self, sources: SourcePositions, objects: ObjectPositions) -> Association:
        """Match sources with objects.

        Parameters
        ----------
        sources : `SourcePositions`
            Any number of sources, also none.
        objects : `ObjectPositions`
            Any number of objects, also none.

        Returns
        -------
        association : `Association`

        Raises
        ------
        TooManyCandidatesError
            If more pairs are within the radius than the settings allow.
        EntangledSourcesError
            If so many sources contest the same objects that the least total
            cost cannot be found in bounded time.
        """
        candidates = find_candidates(
            sources.ra,
            sources.dec,
            objects.ra,
            objects.dec,
            self.config.max_distance_arcsec,
            max_pairs=self.config.max_candidate_pairs,
        )
        dropped = ~has_position(sources.ra, sources.dec)
        mode = self._mode(sources, objects) if len(candidates) else "none"
        scores = self._scores(sources, objects, candidates, mode)
        unmatched_cost = self._unmatched_cost(scores, mode)
        pair = match_at_least_cost(candidates.source_row, candidates.object_row, scores, len(sources), unmatched_cost)
        matched = pair >= 0
        score = _of_pairs(scores, pair)
        object_row = np.where(matched, candidates.object_row[pair], -1) if len(candidates) else pair
        return Association(
            object_row=object_row,
            dropped=dropped,
            separation_arcsec=_of_pairs(candidates.separation_arcsec, pair),
            score=score,
            margin=runner_up_margins(candidates.source_row, candidates.object_row, scores, object_row, score),
            mode=mode,
            unmatched_cost=unmatched_cost,
            total_cost=float(score[matched].sum() + unmatched_cost * np.count_nonzero(~matched & ~dropped)),
            candidates=candidates,
            candidate_score=scores,
        )

    def _mode(self, sources: SourcePositions, objects: ObjectPositions) -> Mode:
        errors = ((each, column) for each in (sources, objects) for column in (each.raErr, each.decErr))
        return "nll" if all(any_usable(column, each.ra, each.dec) for each, column in errors) else "chord"

    def _scores(
        self, sources: SourcePositions, objects: ObjectPositions, candidates: Candidates, mode: Mode
    ) -> FloatArray:
        if mode != "nll":
            return candidates.chord
        i, j = candidates.source_row, candidates.object_row
        variance_ra, variance_dec = self.pair_variances(sources, objects, i, j)
        return negative_log_likelihood(
            sources.ra[i] - objects.ra[j], sources.dec[i] - objects.dec[j], variance_ra, variance_dec
        )

    def pair_variances(
        self, sources: SourcePositions, objects: ObjectPositions, source_row: IntArray, object_row: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the variances that the coordinate differences of pairs are judged by in mode ``nll``.

        Parameters
        ----------
        sources, objects : `SourcePositions`, `ObjectPositions`
            The two catalogues.
        source_row, object_row : `numpy.ndarray` [int64], shape (n_pairs,)
            The pairs.

        Returns
        -------
        variance_ra, variance_dec : `numpy.ndarray` [float64], shape (n_pairs,)
            Square degrees: sums of both catalogues', missing errors replaced,
            not below the floor.
        """
        fallback = self.config.fallback_sigma_arcsec / ARCSEC_PER_DEGREE
        floor = (self.config.sigma_floor_arcsec / ARCSEC_PER_DEGREE) ** 2
        variance_ra = variances(sources.raErr[source_row], fallback) + variances(objects.raErr[object_row], fallback)
        variance_dec = variances(sources.decErr[source_row], fallback) + variances(
            objects.decErr[object_row], fallback
        )
        return np.maximum(variance_ra, floor), np.maximum(variance_dec, floor)

    def _unmatched_cost(self, scores: FloatArray, mode: Mode) -> float:
        match mode:
            case "nll":
                return float(scores.max()) + 1.0
            case "chord":
                # The last term keeps the cost above that of a perfect match whatever the radius.
                return 1.01 * self.config.max_distance_arcsec / ARCSEC_PER_RADIAN + 1e-300
            case "none":
                return math.nan


def _of_pairs(values: FloatArray, pair: IntArray) -> FloatArray:
    """Return the value of each source's pair, NaN where it has none."""
    result = np.full(len(pair), np.nan)
    matched = pair >= 0
    result[matched] = values[pair[matched]]
    return result
