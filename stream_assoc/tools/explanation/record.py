"""The contents of an explanation."""

from dataclasses import dataclass
from typing import Literal

from stream_assoc.core.association.associator import Mode

Verdict = Literal["joined", "founded", "solar_system"]


@dataclass(frozen=True, slots=True)
class ExplainedSource:
    """The source in question, as it is stored. Angles in degrees, times MJD TAI, NULL as `None`."""

    diaSourceId: int
    diaObjectId: int | None
    ssObjectId: int | None
    visit: int
    detector: int
    band: str
    midpointMjdTai: float
    timeProcessedMjdTai: float
    timeWithdrawnMjdTai: float | None
    ra: float
    dec: float
    raErr: float | None
    decErr: float | None


@dataclass(frozen=True, slots=True)
class ExplainedBatch:
    """The processing that decided about the source.

    Attributes
    ----------
    revision, latest_revision : `int` or `None`
        Which processing of its visit and detector this is, and the last one; `None` without an entry in the ledger.
    n_sources, n_stored : `int` or `None`
        Sources in the message, and those stored.
    n_found : `int`
        Its sources that are still stored.
    """

    revision: int | None
    latest_revision: int | None
    n_sources: int | None
    n_stored: int | None
    n_found: int


@dataclass(frozen=True, slots=True)
class ExplainedCandidate:
    """An object within the match radius.

    Attributes
    ----------
    diaObjectId : `int`
    ra, dec : `float`
        Its mean position when the batch was processed, degrees.
    nDiaSources : `int`
        Its sources at that time.
    separation_arcsec : `float`
    delta_ra_arcsec, delta_dec_arcsec : `float`
        Source minus object, the former times cos(dec).
    sigma_ra_arcsec, sigma_dec_arcsec : `float` or `None`
        Standard errors of the differences, that of ra without cos(dec), as in the score; `None` for chords.
    score : `float`
        Smaller is better.
    is_match : `bool`
        Whether the recomputation assigns the source to the object.
    matched_diaSourceId : `int` or `None`
        The source that the recomputation assigns to the object.
    """

    diaObjectId: int
    ra: float
    dec: float
    nDiaSources: int
    separation_arcsec: float
    delta_ra_arcsec: float
    delta_dec_arcsec: float
    sigma_ra_arcsec: float | None
    sigma_dec_arcsec: float | None
    score: float
    is_match: bool
    matched_diaSourceId: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a source belongs to its object.

    Attributes
    ----------
    source : `ExplainedSource`
    batch : `ExplainedBatch`
    verdict : `str`
        The stored outcome: the source ``joined`` an object, created one (``founded``), or was claimed by a
        ``solar_system`` object.
    candidates : `tuple` [`ExplainedCandidate`, ...]
        By ascending score.
    mode : `str`
        The kind of score: ``nll``, ``chord`` or ``none``.
    unmatched_cost : `float` or `None`
        The cost of leaving a source of the batch unmatched.
    margin : `float` or `None`
        Score of the best other candidate minus that of the match; `None` without a match or another candidate.
    agrees : `bool` or `None`
        Whether the recomputation gives the stored outcome; `None` where that cannot be known.
    object_is_open : `bool` or `None`
        Whether the source's object is not closed; `None` without an object.
    summary : `str`
        The verdict and its reason, as sentences.
    limits : `tuple` [`str`, ...]
        What the stored rows cannot show, as sentences.
    """

    source: ExplainedSource
    batch: ExplainedBatch
    verdict: Verdict
    candidates: tuple[ExplainedCandidate, ...]
    mode: Mode
    unmatched_cost: float | None
    margin: float | None
    agrees: bool | None
    object_is_open: bool | None
    summary: str
    limits: tuple[str, ...]
