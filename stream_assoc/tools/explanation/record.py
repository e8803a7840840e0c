"""What an explanation says."""

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
    """The processing that decided.

    Attributes
    ----------
    revision, latest_revision : `int` or `None`
        Which processing of its visit and detector, and the last there was; `None` when the ledger has no entry.
    n_sources, n_stored : `int` or `None`
        Sources in the message, and those stored.
    n_found : `int`
        Sources of it that are stored still.
    """

    revision: int | None
    latest_revision: int | None
    n_sources: int | None
    n_stored: int | None
    n_found: int


@dataclass(frozen=True, slots=True)
class ExplainedCandidate:
    """An object that was close enough.

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
        What the differences were judged by, the former without cos(dec) as the score has it; `None` for chords.
    score : `float`
        The smaller, the better.
    is_match : `bool`
        Whether the recomputation gives the source to it.
    matched_diaSourceId : `int` or `None`
        The source that the recomputation gives it.
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
    """Why a source belongs where it does.

    Attributes
    ----------
    source : `ExplainedSource`
    batch : `ExplainedBatch`
    verdict : `str`
        What is stored: it ``joined`` an object, ``founded`` one, or was claimed by a ``solar_system`` object.
    candidates : `tuple` [`ExplainedCandidate`, ...]
        By ascending score.
    mode : `str`
        What a score is: ``nll``, ``chord`` or ``none``.
    unmatched_cost : `float` or `None`
        What it would have cost to leave a source of the batch alone.
    margin : `float` or `None`
        By how much the best other candidate is worse than the match; `None` without a match or without another.
    agrees : `bool` or `None`
        Whether the recomputation comes to what is stored; `None` where it cannot tell.
    object_is_open : `bool` or `None`
        Whether the source's object lives on; `None` when it has none.
    summary : `str`
        The verdict and its reason, for people.
    limits : `tuple` [`str`, ...]
        What cannot be known from what is stored.
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
