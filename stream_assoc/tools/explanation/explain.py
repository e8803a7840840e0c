"""Why a stored source belongs to its object: the decision is made again."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.association.associator import Association, Associator
from stream_assoc.core.association.scores import ARCSEC_PER_DEGREE
from stream_assoc.stores.apdb.reading.port import ApdbReader, NotStoredError
from stream_assoc.tools.explanation.past import Past, past_of
from stream_assoc.tools.explanation.record import (
    ExplainedBatch,
    ExplainedCandidate,
    ExplainedSource,
    Explanation,
    Verdict,
)
from stream_assoc.tools.explanation.words import limits_of, summary_of


def explain(diaSourceId: int, reader: ApdbReader, associator: Associator) -> Explanation:
    """Return why a source joined an object, created one, or was claimed by a solar-system object.

    The sky is reconstructed as it was when the source's batch was processed,
    and the sources of the batch are associated with it again.

    Parameters
    ----------
    diaSourceId : `int`
        A stored source; it may be withdrawn.
    reader : `ApdbReader`
        Where it is stored.
    associator : `Associator`
        With the settings of the daemon that processed it.

    Raises
    ------
    NotStoredError
        If no such source is stored.
    """
    rows = reader.source(diaSourceId)
    if not rows.num_rows:
        raise NotStoredError(
            f"there is no source {diaSourceId} in the APDB. Sources that matched no object and were not good enough "
            "to create one, and sources without a position, are not stored; the metrics of their batch count them"
        )
    source = _source(rows)
    past = past_of(source, reader, associator.config.max_distance_arcsec)
    association = associator.associate(past.sources, past.objects)
    candidates = _candidates(source, past, association, associator)
    verdict = _verdict(source, reader)
    explanation = Explanation(
        source=source,
        batch=_batch(past),
        verdict=verdict,
        candidates=candidates,
        mode=association.mode,
        unmatched_cost=_finite(association.unmatched_cost),
        margin=_margin(candidates),
        agrees=_agrees(source, verdict, candidates),
        object_is_open=_is_open(source, reader),
        summary="",
        limits=(),
    )
    return replace(explanation, summary=summary_of(explanation), limits=limits_of(explanation))


def _source(rows: pa.Table) -> ExplainedSource:
    (row,) = rows.select(list(ExplainedSource.__slots__)).to_pylist()
    return ExplainedSource(**row)


def _batch(past: Past) -> ExplainedBatch:
    entry = past.entry
    latest = past.processings[-1].revision if past.processings else None
    if entry is None:
        return ExplainedBatch(None, latest, None, None, past.n_found)
    return ExplainedBatch(entry.revision, latest, entry.n_sources, entry.n_stored, past.n_found)


def _verdict(source: ExplainedSource, reader: ApdbReader) -> Verdict:
    if source.diaObjectId is None:
        return "solar_system"
    first = reader.first_version(source.diaObjectId)
    return "founded" if first is not None and first >= source.timeProcessedMjdTai else "joined"


def _candidates(
    source: ExplainedSource, past: Past, association: Association, associator: Associator
) -> tuple[ExplainedCandidate, ...]:
    row = np.flatnonzero(past.diaSourceId == source.diaSourceId)
    pairs = np.flatnonzero(np.isin(association.candidates.source_row, row))
    pairs = pairs[np.argsort(association.candidate_score[pairs], kind="stable")]
    i, j = association.candidates.source_row[pairs], association.candidates.object_row[pairs]
    objects = past.objects.take(j)
    variance_ra, variance_dec = associator.pair_variances(past.sources, past.objects, i, j)
    delta_ra = (past.sources.ra[i] - objects.ra + 180.0) % 360.0 - 180.0
    taken_by = {int(place): past.diaSourceId[k] for k, place in enumerate(association.object_row) if place >= 0}
    judged = association.mode == "nll"
    return tuple(
        ExplainedCandidate(
            diaObjectId=int(objects.diaObjectId[k]),
            ra=float(objects.ra[k]),
            dec=float(objects.dec[k]),
            nDiaSources=int(objects.nDiaSources[k]),
            separation_arcsec=float(association.candidates.separation_arcsec[pair]),
            delta_ra_arcsec=float(delta_ra[k] * ARCSEC_PER_DEGREE * math.cos(math.radians(source.dec))),
            delta_dec_arcsec=float((past.sources.dec[i[k]] - objects.dec[k]) * ARCSEC_PER_DEGREE),
            sigma_ra_arcsec=float(np.sqrt(variance_ra[k]) * ARCSEC_PER_DEGREE) if judged else None,
            sigma_dec_arcsec=float(np.sqrt(variance_dec[k]) * ARCSEC_PER_DEGREE) if judged else None,
            score=float(association.candidate_score[pair]),
            is_match=bool(association.object_row[i[k]] == j[k]),
            matched_diaSourceId=int(taken_by[int(j[k])]) if int(j[k]) in taken_by else None,
        )
        for k, pair in enumerate(pairs.tolist())
    )


def _margin(candidates: tuple[ExplainedCandidate, ...]) -> float | None:
    match = [one.score for one in candidates if one.is_match]
    others = [one.score for one in candidates if not one.is_match]
    return min(others) - match[0] if match and others else None


def _agrees(source: ExplainedSource, verdict: Verdict, candidates: tuple[ExplainedCandidate, ...]) -> bool | None:
    if verdict == "solar_system":
        return None
    match = next((one.diaObjectId for one in candidates if one.is_match), None)
    return match == (source.diaObjectId if verdict == "joined" else None)


def _is_open(source: ExplainedSource, reader: ApdbReader) -> bool | None:
    if source.diaObjectId is None:
        return None
    latest = reader.versions(source.diaObjectId, 1)
    return bool(latest.num_rows) and latest["validityEndMjdTai"][0].as_py() is None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
