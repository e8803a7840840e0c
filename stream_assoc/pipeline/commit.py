"""Make decisions durable: one APDB transaction, then the cache."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints, ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.failpoints import failpoint
from stream_assoc.pipeline.batches import Processed
from stream_assoc.pipeline.clock import Stopwatch
from stream_assoc.pipeline.decide import Decision
from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.services import Services

Result = TypeVar("Result")

ATTEMPTS: Final = 5
"""How often batches are decided about at once. After that they wait, as for a store that is away."""


def decided_again(process: Callable[[], Result], services: Services) -> Result:
    """Process some batches, and again if another program changes their sky before they are stored.

    Parameters
    ----------
    process : callable
        Opens a session, decides and commits.
    services : `Services`
        Is told of each time.

    Raises
    ------
    TilesChangedError
        If the sky never stood still in `ATTEMPTS` times.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return process()
        except TilesChangedError:
            services.on_tiles_changed()
            services.on_progress()
    return process()


def commit(
    decisions: Sequence[Decision],
    session: ApdbSession,
    neighbourhood: Neighbourhood,
    unpublished: tuple[BatchRevision, ...],
    services: Services,
) -> list[Processed]:
    """Store some decisions in one transaction, and hand the cache write to `Services.write_cache`.

    Parameters
    ----------
    decisions : `list` [`Decision`]
        At least one.
    session : `ApdbSession`
        Holds the cells of the batches.
    neighbourhood : `Neighbourhood`
        The objects as the batches left them, for the cache.
    unpublished : `tuple` [`BatchRevision`, ...]
        Earlier batches of the same sky whose outputs must be published first.
    services : `Services`
        Algorithms and the encoder.

    Returns
    -------
    processed : `list` [`Processed`]
        The outcome of each decision. All are durable.

    Raises
    ------
    PoisonError
        If the APDB refuses a row. Nothing was stored.
    RetriableError
        If a store is away. Either nothing was stored, or everything was.
    """
    watch = Stopwatch(services.clock)
    with watch.stage("encode"):
        ids = np.concatenate([one.states.diaObjectId for one in decisions])
        starts = np.concatenate([one.states.validityStartMjdTai for one in decisions])
        superseded, first = np.unique(ids, return_index=True)
        had_version = np.isin(superseded, np.concatenate([one.superseded for one in decisions]))
        session.prepare(superseded[had_version], starts[first][had_version])
        processed, changes = write_down(decisions, unpublished, services, neighbourhood.overdue)
    failpoint("before-store")
    with watch.stage("store"):
        versions = session.commit(changes)
    failpoint("after-store")
    services.observe_micro_batch(watch.seconds)
    tiles = np.unique(np.concatenate([change.tiles for change in changes]))
    services.write_cache(lambda: _write_cache(neighbourhood, tiles, versions, services))
    return processed


def _write_cache(neighbourhood: Neighbourhood, tiles: IntArray, versions: IntArray, services: Services) -> None:
    watch = Stopwatch(services.clock)
    with watch.stage("write_cache"):
        neighbourhood.flush(tiles, versions)
    failpoint("after-cache-write")
    services.observe_micro_batch(watch.seconds)


def checkpoints_of(decisions: Sequence[Decision], services: Services, overdue: IntArray) -> list[Checkpoints]:
    """Return the states to keep in the APDB, for each decision."""
    if services.checkpoints is None:
        return [Checkpoints.none() for _ in decisions]
    return services.checkpoints.of([one.states for one in decisions], services.calculator, overdue)


def write_down(
    decisions: Sequence[Decision],
    unpublished: tuple[BatchRevision, ...],
    services: Services,
    overdue: IntArray,
) -> tuple[list[Processed], list[BatchChanges]]:
    """Turn decisions into rows and messages.

    The objects of all batches go through Arrow and Avro together: a hundred
    columns cost as much for one row as for hundreds. Each batch is to be
    published after the one before it: both may have changed the same sky.

    Parameters
    ----------
    decisions : `list` [`Decision`]
        At least one.
    unpublished : `tuple` [`BatchRevision`, ...]
        Batches that the first is published after.
    services : `Services`
        Algorithms and the encoder.
    overdue : `numpy.ndarray` [int64]
        Objects whose states are to be kept in the APDB whatever their number of sources is.

    Returns
    -------
    processed : `list` [`Processed`]
        The outcome of each; valid once its changes are stored.
    changes : `list` [`BatchChanges`]
        The rows to store for each.
    """
    states = ObjectStates.concatenate([one.states for one in decisions])
    dia_objects, further_rows = services.calculator.rows(states)
    further = further_rows if services.calculator.computes_further else None
    messages = services.encoder.encode_objects(dia_objects, further)
    processed, changes = [], []
    begin, predecessors = 0, unpublished
    kept = checkpoints_of(decisions, services, overdue)
    for one, checkpoints in zip(decisions, kept, strict=True):
        end = begin + len(one.states)
        outputs = [
            *messages[begin:end],
            *services.encoder.encode_closed(one.closed.diaObjectId, one.entry.timeProcessedMjdTai),
            *services.encoder.encode_forced_sources(one.forced_sources),
            *(
                services.encoder.encode_forced_sources(one.withdrawn_forced_sources)
                if one.withdrawn_forced_sources is not None
                else ()
            ),
            services.encoder.encode_metrics(one.metrics),
        ]
        processed.append(
            Processed(one.entry.id, one.metrics, outputs, one.entry.revision, one.image_error, predecessors)
        )
        changes.append(
            BatchChanges(
                entry=one.entry,
                dia_sources=one.dia_sources,
                dia_objects=dia_objects.slice(begin, end - begin),
                forced_sources=one.forced_sources,
                tiles=one.tiles,
                single_source_delta=one.single_source_delta,
                outputs=services.encoder.pack(outputs),
                closed=one.closed,
                further_statistics=None if further is None else further.slice(begin, end - begin),
                predecessors=predecessors,
                consumer_group=services.consumer_group,
                checkpoints=checkpoints,
                voided=one.voided,
            )
        )
        begin, predecessors = end, (one.entry.key,)
    return processed, changes
