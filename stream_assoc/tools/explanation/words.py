"""An explanation in sentences."""

from collections.abc import Iterator

from stream_assoc.tools.explanation.record import ExplainedCandidate, Explanation


def summary_of(explanation: Explanation) -> str:
    """Return the verdict and its reason as one or two sentences."""
    return " ".join([_reason(explanation), *_aftermath(explanation)])


def limits_of(explanation: Explanation) -> tuple[str, ...]:
    """Return what the stored rows cannot show, as sentences."""
    return tuple(_limits(explanation))


def _reason(explanation: Explanation) -> str:
    source, candidates = explanation.source, explanation.candidates
    match explanation.verdict:
        case "solar_system":
            return (
                f"It belongs to solar-system object {source.ssObjectId}: its producer identified it, or it was the "
                "closest source to the predicted position of the object. It was not matched with DIAObjects."
            )
        case "founded" if not candidates:
            return f"No object was within the match radius, so it created DIAObject {source.diaObjectId}."
        case "founded":
            return (
                f"It created DIAObject {source.diaObjectId}: {_count(candidates, 'object')} within the match radius, "
                "but each was a better match for another source of the batch."
                if explanation.agrees
                else f"It created DIAObject {source.diaObjectId}, although the recomputation would give it to "
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
        return f"{place}, the only object within the match radius."
    others = _count(candidates[1:], "other object")
    if explanation.margin < 0:
        return (
            f"{place}; of {others} within the match radius one scores better by {-explanation.margin:.3g}, "
            "but it went to another source of the batch, because the total cost is lower that way."
        )
    return f"{place}; of {others} within the match radius the best scores worse by {explanation.margin:.3g}."


def _aftermath(explanation: Explanation) -> Iterator[str]:
    batch, source = explanation.batch, explanation.source
    if source.timeWithdrawnMjdTai is not None:
        yield (
            f"It was withdrawn at MJD {source.timeWithdrawnMjdTai:.6f}, when its visit and detector was "
            "processed again, and no longer counts."
        )
    if batch.revision:
        yield f"This was processing {batch.revision + 1} of its visit and detector."
    if explanation.object_is_open is False:
        yield "The object has been closed since: it has no source left."


def _limits(explanation: Explanation) -> Iterator[str]:
    batch, source = explanation.batch, explanation.source
    if explanation.verdict == "solar_system":
        yield "Predicted positions of solar-system objects are not stored, so the separation is unknown."
        return
    if batch.n_sources is None or batch.n_stored is None:
        yield "The ledger has no entry for this processing, so the settings and the size of its batch are unknown."
    else:
        if unstored := batch.n_sources - batch.n_stored:
            yield (
                f"{unstored} of the {batch.n_sources} sources of the batch were marginal or without a position and "
                "are not stored; their candidates may have raised the cost of leaving a source alone."
            )
        if lost := batch.n_stored - batch.n_found:
            yield f"{lost} stored sources of the batch were replaced by a later processing, and their rows are gone."
    if batch.revision:
        yield (
            "The batch replaced an earlier one. Positions of objects that had sources of the earlier batch are "
            "averaged again from the remaining sources."
        )
    if explanation.agrees is False:
        yield (
            "Possible reasons for the disagreement: the [association] settings have changed since, the daemons' "
            "clocks differ, or the clock was pinned (daemon.pin_clock_mjd), so that versions have no order in time."
        )
    if source.timeWithdrawnMjdTai is not None and batch.revision is not None:
        yield "This explains the processing that stored the source, not the one that withdrew it."


def _match(candidates: tuple[ExplainedCandidate, ...]) -> int | None:
    return next((one.diaObjectId for one in candidates if one.is_match), None)


def _count(candidates: tuple[ExplainedCandidate, ...], noun: str) -> str:
    return f"{len(candidates)} {noun}{'' if len(candidates) == 1 else 's'}"
