"""How a batch is processed, top to bottom.

    batches ── regions ── exclusive cells ─┬─ load ── associate ── create ── summarise ── photometer ─┐
                                           └──────────────── for each batch ──────────────────────────┤
                        cache write-back ── publish (daemon) ── one APDB transaction ─────────────────┘

`process_batches` is that picture; `stream_assoc.pipeline.decide` is the part
inside the loop, and `stream_assoc.pipeline.reprocess` processes a batch that
replaces an earlier one, or comes to objects that another program has changed.
Nothing here knows Kafka, Avro or a database: pure functions compute, and the
ports of `~stream_assoc.pipeline.services.Services` read and store.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.batches import Arrival, Outcome, Redelivered, Rejected, redelivery
from stream_assoc.pipeline.clock import Stopwatch
from stream_assoc.pipeline.commit import commit, decided_again
from stream_assoc.pipeline.decide import Decision, apply, decide
from stream_assoc.pipeline.exceptions import LocksExhaustedError
from stream_assoc.pipeline.forced import with_images
from stream_assoc.pipeline.neighbourhood import Neighbourhood, neighbourhood_of
from stream_assoc.pipeline.ports.reader import SessionSnapshot
from stream_assoc.pipeline.region import refused_alone
from stream_assoc.pipeline.reprocess import reprocess
from stream_assoc.pipeline.services import Services

SESSION_SECONDS: Final = 10.0
"""After this time a session is committed with the batches it has decided: others wait for its cells."""


def process_batches(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    """Process some batches in order, in as few exclusive sessions and transactions as possible.

    Usually that is one. A re-processing, a batch with images to measure on and
    one that comes to objects whose sources another program has changed have a
    session of their own; batches that together need more cells than
    `Services.cell_limits` allow are divided, and so is work that takes longer
    than `SESSION_SECONDS`. The result of each batch is the same as if it had
    been processed alone. A batch that can never be processed is rejected and
    affects no other.

    Parameters
    ----------
    arrivals : `list` [`Arrival`]
        Decoded batches, in the order of their messages.
    services : `Services`
        Algorithms, stores and the clock.

    Returns
    -------
    outcomes : `list` [`Outcome`]
        One for each arrival, in order. Those `Processed` are durable.

    Raises
    ------
    RetriableError
        If a store is away. For each batch either nothing was changed, or all
        of it was; the ledger tells when the same arrivals are processed again.
    """
    outcomes: list[Outcome] = []
    for is_alone, run in itertools.groupby(arrivals, key=lambda arrival: _is_alone(arrival, services)):
        if is_alone:
            outcomes += [_process_alone(arrival, services) for arrival in run]
        else:
            for together in _within_limit(list(run), services.cell_limits.session):
                outcomes += _process_together(together, services)
    return outcomes


def _is_alone(arrival: Arrival, services: Services) -> bool:
    return arrival.reprocessing or (services.photometer is not None and arrival.batch.images.named)


def _within_limit(arrivals: Sequence[Arrival], max_cells: int) -> Iterator[Sequence[Arrival]]:
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


def _process_alone(arrival: Arrival, services: Services) -> Outcome:
    services.on_progress()
    services.catch_up()
    # A redelivery is recognised under the locks; this only avoids reading images in vain.
    wants_images = arrival.reprocessing or not services.apdb.contains(arrival.batch.id)
    if services.photometer is not None and wants_images:
        watch = Stopwatch(services.clock, arrival.seconds)
        with watch.stage("read_images"):
            arrival = with_images(arrival, services.photometer)
        arrival = replace(arrival, seconds=watch.seconds)
    if arrival.reprocessing:
        return decided_again(lambda: reprocess(arrival, services), services)
    (outcome,) = _process_together([arrival], services)
    return outcome


def _process_together(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    """Process batches in one session after another, until none is left."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(arrivals):
        services.catch_up()
        outcomes += _process_first(arrivals[len(outcomes) :], services)
    return outcomes


def _process_first(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    """Process as many of these batches as one session has time for, at least one."""
    try:
        return decided_again(lambda: _process_in_one_session(arrivals, services), services)
    except LocksExhaustedError as error:
        # The same again would fail again, half of it may not.
        if len(arrivals) == 1:
            return [Rejected(arrivals[0].batch.id, refused_alone(error))]
        middle = len(arrivals) // 2
        return [*_process_together(arrivals[:middle], services), *_process_together(arrivals[middle:], services)]
    except PoisonError as error:
        # The APDB refuses the rows of one batch, and with them the transaction of all.
        if len(arrivals) == 1:
            return [Rejected(arrivals[0].batch.id, error)]
        return [outcome for arrival in arrivals for outcome in _process_first([arrival], services)]


def _process_in_one_session(arrivals: Sequence[Arrival], services: Services) -> list[Outcome]:
    services.on_progress()
    tiles = np.unique(np.concatenate([arrival.region.tiles for arrival in arrivals]))
    cells = np.unique(np.concatenate([arrival.region.cells for arrival in arrivals]))
    watch = Stopwatch(services.clock)
    with contextlib.ExitStack() as stack:
        with watch.stage("lock"):
            session = stack.enter_context(services.apdb.exclusive(cells))
        with watch.stage("open"):
            snapshot = session.read_snapshot([arrival.batch.id for arrival in arrivals], tiles)
        if len(snapshot.changed.outdated(tiles)):
            # What is to be folded anew may reach beyond these cells.
            stack.close()
            return [reprocess(arrivals[0], services)]
        with watch.stage("read_cache"):
            neighbourhood = neighbourhood_of(session, snapshot, tiles, services)
            # One round trip for all; each batch finds its tiles there.
            neighbourhood.objects(tiles)
        services.observe_micro_batch(watch.seconds)
        results = _decide_in_order(arrivals, snapshot, neighbourhood, services)
        services.on_progress()
        if decisions := [result for result in results if isinstance(result, Decision)]:
            processed = iter(commit(decisions, session, neighbourhood, snapshot.unpublished, services))
            return [next(processed) if isinstance(result, Decision) else result for result in results]
        return [result for result in results if not isinstance(result, Decision)]


def _decide_in_order(
    arrivals: Sequence[Arrival], snapshot: SessionSnapshot, neighbourhood: Neighbourhood, services: Services
) -> list[Decision | Redelivered | Rejected]:
    """Decide about each batch against the sky as the batches before it left it, until `SESSION_SECONDS` are over."""
    ledger, n_single_source = dict(snapshot.entries), snapshot.n_single_source
    results: list[Decision | Redelivered | Rejected] = []
    begin = services.clock.stopwatch_time()
    for arrival in arrivals:
        if services.clock.stopwatch_time() - begin > SESSION_SECONDS:
            break
        services.on_progress()
        batch_id = arrival.batch.id
        try:
            if (known := redelivery(arrival, ledger.get(batch_id, ()), services)) is not None:
                results.append(known)
                continue
            proposal = decide(arrival, neighbourhood, n_single_source, services)
        except PoisonError as error:
            results.append(Rejected(batch_id, error))
            continue
        # An error from here on, a rejection too, undoes the whole session.
        decision = apply(proposal, neighbourhood)
        results.append(decision)
        ledger[batch_id] = (decision.entry,)
        n_single_source += decision.single_source_delta
    return results
