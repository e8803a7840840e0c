"""An explanation in sentences."""

from collections.abc import Iterator

from stream_assoc.tools.explanation.record import ExplainedCandidate, Explanation


def summary_of(explanation: Explanation) -> str:
    """Return the verdict and its reason as one or two sentences."""
    return " ".join([_reason(explanation), *_aftermath(explanation)])


def limits_of(explanation: Explanation) -> tuple[str, ...]:
    """Return what cannot be known from what is stored, as sentences."""
    return tuple(_limits(explanation))


def _reason(explanation: Explanation) -> str:
    source, candidates = explanation.source, explanation.candidates
    match explanation.verdict:
        case "solar_system":
            return (
                f"It belongs to solar-system object {source.ssObjectId}: the producer said so, or the predicted "
                "position of the object was the closest. It was not offered to DIAObjects."
            )
        case "founded" if not candidates:
            return f"No object was within reach, so it founded DIAObject {source.diaObjectId}."
        case "founded":
            return (
                f"It founded DIAObject {source.diaObjectId}: {_count(candidates, 'object')} within reach, "
                "but each was a better match for another source of the batch."
                if explanation.agrees
                else f"It founded DIAObject {source.diaObjectId}, although the recomputation would give it to "
                f"DIAObject {_match(candidates)}."
            )
        case _:
            return _joined(explanation)


def _joined(explanation: Explanation) -> str:
    source, candidates = explanation.source, explanation.candidates
    if not explanation.agrees:
        other = _match(candidates)
        found = f"gives it to DIAObject {other}" if other else "finds no object for it"
        return f"It joined DIAObject {source.diaObjectId}, but the recomputation {found}."
    chosen = next(one for one in candidates if one.is_match)
    place = f"It joined DIAObject {source.diaObjectId}, {chosen.separation_arcsec:.3f} arcsec away"
    if explanation.margin is None:
        return f"{place}, the only object within reach."
    others = _count(candidates[1:], "other object")
    if explanation.margin < 0:
        return (
            f"{place}; of {others} within reach one scores better by {-explanation.margin:.3g}, "
            "but went to another source of the batch, which costs less in all."
        )
    return f"{place}; of {others} within reach the best scores worse by {explanation.margin:.3g}."


def _aftermath(explanation: Explanation) -> Iterator[str]:
    batch, source = explanation.batch, explanation.source
    if source.timeWithdrawnMjdTai is not None:
        yield (
            f"It was withdrawn at MJD {source.timeWithdrawnMjdTai:.6f}, when its visit and detector was "
            "processed again, and counts no longer."
        )
    if batch.revision:
        yield f"This was processing {batch.revision + 1} of its visit and detector."
    if explanation.object_is_open is False:
        yield "The object has ended since: it has no source left."


def _limits(explanation: Explanation) -> Iterator[str]:
    batch, source = explanation.batch, explanation.source
    if explanation.verdict == "solar_system":
        yield "Predicted positions of solar-system objects are not stored, so the separation cannot be told."
        return
    if batch.n_sources is None or batch.n_stored is None:
        yield "The ledger has no entry of this processing, so the settings and the size of its batch are unknown."
    else:
        if unstored := batch.n_sources - batch.n_stored:
            yield (
                f"{unstored} of the {batch.n_sources} sources of the batch were marginal or without a position and "
                "are not stored; their candidates may have raised the cost of leaving a source alone."
            )
        if lost := batch.n_stored - batch.n_found:
            yield f"{lost} stored sources of the batch were replaced by a later processing; their rows are gone."
    if batch.revision:
        yield (
            "The batch took the place of an earlier one; positions of objects that had sources of that one are "
            "averaged again from the sources left."
        )
    if explanation.agrees is False:
        yield (
            "Reasons for a disagreement: other settings of [association] then than now, daemons whose clocks differ, "
            "or a pinned clock (daemon.pin_clock_mjd), with which versions cannot be put in order."
        )
    if source.timeWithdrawnMjdTai is not None and batch.revision is not None:
        yield "What is said is about the processing that stored it, not about the one that withdrew it."


def _match(candidates: tuple[ExplainedCandidate, ...]) -> int | None:
    return next((one.diaObjectId for one in candidates if one.is_match), None)


def _count(candidates: tuple[ExplainedCandidate, ...], noun: str) -> str:
    return f"{len(candidates)} {noun}{'' if len(candidates) == 1 else 's'}"
