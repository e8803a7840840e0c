"""The way a batch travels, top to bottom.

    batches ── regions ── exclusive cells ─┬─ load ── associate ── create ── summarise ── photometer ─┐
                                           └──────────────── for each batch ──────────────────────────┤
                        cache write-back ── publish (daemon) ── one APDB transaction ─────────────────┘

`process_batches` is that picture; `stream_assoc.pipeline.decide` is the part
inside the loop, and `stream_assoc.pipeline.reprocess` the way of a batch that
takes the place of an earlier one. Nothing here knows Kafka. What is computed is
computed by pure functions, what is stored goes through the ports of
`~stream_assoc.pipeline.services.Services`.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import InputPosition, LedgerEntry
from stream_assoc.core.model.messages import REPROCESSING_HEADER
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.arrival import Arrival
from stream_assoc.pipeline.clock import Stopwatch
from stream_assoc.pipeline.commit import commit
from stream_assoc.pipeline.decide import Decision, apply, decide
from stream_assoc.pipeline.exceptions import ConflictingBatchError, LocksExhaustedError
from stream_assoc.pipeline.forced import with_images
from stream_assoc.pipeline.ledger import recall
from stream_assoc.pipeline.neighbourhood import neighbourhood_of
from stream_assoc.pipeline.outcomes import Outcome, Redelivered, Rejected
from stream_assoc.pipeline.region import refused_alone, region_of
from stream_assoc.pipeline.reprocess import reprocess
from stream_assoc.pipeline.services import Services

SESSION_SECONDS: Final = 10.0
"""After so long a session is committed with the batches it has come to: others wait for its cells."""


def arrive(
    batch: Batch,
    services: Services,
    position: InputPosition | None = None,
    seconds: dict[str, float] | None = None,
    *,
    unlimited: bool = False,
    reprocessing: bool = False,
) -> Arrival:
    """Return the batch with the sky it needs, ready to be processed.

    Parameters
    ----------
    batch : `Batch`
        The batch.
    services : `Services`
        What it will meet.
    position : `InputPosition`, optional
        The message it came in.
    seconds : `dict` [`str`, `float`], optional
        What earlier stages took.
    unlimited : `bool`, optional
        Whether it may create any number of objects.
    reprocessing : `bool`, optional
        Whether it may take the place of an earlier processing of its visit and detector.

    Raises
    ------
    InvalidFootprintError
        If its footprint is no convex outline on the sky.
    TooManyCellsError
        If it reaches over more of the sky than `Services.cell_limits` allow.
    """
    services.on_progress()
    watch = Stopwatch(services.clock, seconds)
    with watch.stage("region"):
        radius = services.matchmakers.associator.config.max_distance_arcsec
        region = region_of(batch, services.partition, radius, services.cell_limits)
    return Arrival(batch, region, position, watch.seconds, unlimited, reprocessing)


def process_batches(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    """Process some batches in order, in as few exclusive sessions and transactions as can be.

    That is one, but for re-processings and batches with images to measure on,
    each of which has its own, for batches that need more cells together than
    `Services.cell_limits` allow, and for work that takes longer than
    `SESSION_SECONDS`. The result of each batch is the same as if it had been
    processed alone. One that can never be processed is rejected and touches
    none of the others.

    Parameters
    ----------
    arrivals : `list` [`Arrival`]
        Decoded batches, in the order of their messages.
    services : `Services`
        What they meet.

    Returns
    -------
    outcomes : `list` [`Outcome`]
        One for each arrival, in order. Those `Processed` are durable.

    Raises
    ------
    RetriableError
        If a store went away. For each batch either nothing was changed, or all
        of it was and the ledger will say so when the same arrivals are
        processed again.
    """
    outcomes: list[Outcome] = []
    for is_alone, run in itertools.groupby(arrivals, key=lambda arrival: _is_alone(arrival, services)):
        if is_alone:
            outcomes += [_process_alone(arrival, services) for arrival in run]
        else:
            for session in _sessions(list(run), services.cell_limits.session):
                services.catch_up()
                outcomes += _process_together(session, services)
    return outcomes


def _sessions(arrivals: Sequence[Arrival], max_cells: int) -> Iterator[Sequence[Arrival]]:
    """Divide arrivals, in order, into runs that need at most so many cells together; each has at least one."""
    if sum(len(arrival.region.cells) for arrival in arrivals) <= max_cells:
        yield arrivals
        return
    begin, held = 0, arrivals[0].region.cells
    for place, arrival in enumerate(arrivals[1:], start=1):
        together = np.union1d(held, arrival.region.cells)
        if len(together) > max_cells:
            yield arrivals[begin:place]
            begin, held = place, arrival.region.cells
        else:
            held = together
    yield arrivals[begin:]


def _is_alone(arrival: Arrival, services: Services) -> bool:
    return arrival.reprocessing or (services.photometer is not None and arrival.batch.images.named)


def _process_alone(arrival: Arrival, services: Services) -> Outcome:
    services.on_progress()
    services.catch_up()
    # A redelivery is recognised under the locks; this only keeps it from reading images in vain.
    if services.photometer is not None and (arrival.reprocessing or not services.apdb.contains(arrival.batch.id)):
        watch = Stopwatch(services.clock, arrival.seconds)
        with watch.stage("read_images"):
            arrival = with_images(arrival, services.photometer)
        arrival = replace(arrival, seconds=watch.seconds)
    if arrival.reprocessing:
        return reprocess(arrival, services)
    (outcome,) = _process_together([arrival], services)
    return outcome


def _process_together(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while len(outcomes) < len(arrivals):
        if outcomes:
            services.catch_up()
        outcomes += _process_first(arrivals[len(outcomes) :], services)
    return outcomes


def _process_first(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    """Process as many of these batches as one session has time for, at least one."""
    try:
        return _process_in_one_session(arrivals, services)
    except LocksExhaustedError as error:
        # The same again would fail again, half of it may not.
        if len(arrivals) == 1:
            return [Rejected(arrivals[0].batch.id, refused_alone(error))]
        middle = len(arrivals) // 2
        return [
            *_process_together(arrivals[:middle], services),
            *_process_together(arrivals[middle:], services),
        ]
    except PoisonError as error:
        # The APDB refuses the rows of one batch, and with them the transaction of all.
        if len(arrivals) == 1:
            return [Rejected(arrivals[0].batch.id, error)]
        return [outcome for arrival in arrivals for outcome in _process_first([arrival], services)]


def _process_in_one_session(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    services.on_progress()
    tiles = np.unique(np.concatenate([arrival.region.tiles for arrival in arrivals]))
    watch = Stopwatch(services.clock)
    with contextlib.ExitStack() as stack:
        with watch.stage("lock"):
            cells = np.unique(np.concatenate([arrival.region.cells for arrival in arrivals]))
            session = stack.enter_context(services.apdb.exclusive(cells))
        with watch.stage("open"):
            snapshot = session.read_snapshot([arrival.batch.id for arrival in arrivals], tiles)
        with watch.stage("read_cache"):
            neighbourhood = neighbourhood_of(session, snapshot, tiles, services)
            # One round trip for all; each batch finds its tiles there.
            neighbourhood.objects(tiles)
        services.observe_micro_batch(watch.seconds)
        ledger = dict(snapshot.entries)
        n_single_source = snapshot.n_single_source
        outcomes: dict[int, Outcome] = {}
        decisions: dict[int, Decision] = {}
        begin = services.clock.stopwatch_time()
        for place, arrival in enumerate(arrivals):
            if services.clock.stopwatch_time() - begin > SESSION_SECONDS:
                break
            services.on_progress()
            batch_id = arrival.batch.id
            try:
                if batch_id in ledger:
                    outcomes[place] = _redelivered(arrival, ledger[batch_id], services)
                    continue
                proposal = decide(arrival, neighbourhood, n_single_source, services)
            except PoisonError as error:
                outcomes[place] = Rejected(batch_id, error)
                continue
            # What this raises, be it a refusal, undoes the session and with it every version that was ended.
            decision = apply(proposal, neighbourhood)
            decisions[place] = decision
            ledger[batch_id] = (decision.entry,)
            n_single_source += decision.single_source_delta
        services.on_progress()
        if decisions:
            processed = commit(list(decisions.values()), session, neighbourhood, snapshot.unpublished, services)
            outcomes |= zip(decisions, processed, strict=True)
    return [outcomes[place] for place in range(len(outcomes))]


def _redelivered(arrival: Arrival, entries: Sequence[LedgerEntry], services: Services) -> Redelivered:
    known = recall(arrival, entries, services.apdb, services.encoder)
    if known is None:
        batch, latest = arrival.batch, entries[-1]
        raise ConflictingBatchError(
            f"visit {batch.id.visit} detector {batch.id.detector} was processed at MJD "
            f"{latest.timeProcessedMjdTai:.6f} with other content (digest {latest.digest.hex()[:12]}, "
            f"now {batch.digest.hex()[:12]}); a producer must not reuse a (visit, detector) for different sources. "
            f"If this is to take the place of what was processed, send it with the header {REPROCESSING_HEADER}, "
            "signed, or `stream-assoc dlq replay --as-reprocessing` this letter"
        )
    return known
