"""Decide about one batch, from its sources to the new states of its objects.

`decide` may refuse the batch; it can only read.
`apply` changes the sky as decided. It may not refuse: an error there undoes
the whole session.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.batches import Arrival
from stream_assoc.pipeline.clock import Stopwatch, later
from stream_assoc.pipeline.exceptions import ImageError
from stream_assoc.pipeline.forced import Measurable, measure_forced, uncounted_points
from stream_assoc.pipeline.matching import BatchMatches, match_sources
from stream_assoc.pipeline.metrics import association_metrics
from stream_assoc.pipeline.neighbourhood import Neighbourhood, Surroundings
from stream_assoc.pipeline.ports.photometry import no_forced_sources
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.source_rows import first_errors, source_points, source_rows


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of processing a batch: what `~stream_assoc.pipeline.commit.commit` makes rows and messages of.

    ``states`` are those of its objects after it, ``superseded`` those of them
    that had a version before (diaObjectId), ``withdrawn_forced_sources`` the
    rows that it takes back and does not replace; the rest is as in
    `BatchChanges` and `Processed`.
    """

    entry: LedgerEntry
    metrics: AssociationMetrics
    states: ObjectStates
    superseded: IntArray
    dia_sources: pa.Table
    forced_sources: pa.Table
    tiles: IntArray
    single_source_delta: int
    closed: ObjectPositions = field(default_factory=ObjectPositions.empty)
    image_error: ImageError | None = None
    withdrawn_forced_sources: pa.Table | None = None
    voided: IntArray = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was decided about a batch, before anything is changed.

    Attributes
    ----------
    decision : `Decision`
        Complete but for the tiles.
    objects : `TiledObjects`
        The objects around the batch, as they were.
    matched : `ObjectPositions`
        Those of them that it changes.
    matched_tiles : `numpy.ndarray` [int64]
        The tile that each of these is in.
    watch : `Stopwatch`
        Has timed the stages so far.
    """

    decision: Decision
    objects: TiledObjects
    matched: ObjectPositions
    matched_tiles: IntArray
    watch: Stopwatch


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a re-processing imposes on the objects and the time of a batch.

    Attributes
    ----------
    new_ids : `numpy.ndarray` [int64], shape (len(batch),)
        The diaObjectId of an object that each source would create.
    after : `numpy.ndarray` [float64]
        Times that the processing time must come after, MJD TAI.
    """

    new_ids: IntArray
    after: FloatArray


def decide(
    arrival: Arrival,
    neighbourhood: Surroundings,
    n_single_source: int,
    services: Services,
    constraints: Constraints | None = None,
) -> Proposal:
    """Take one batch from its sources to the new states of its objects; nothing is changed yet.

    Parameters
    ----------
    arrival : `Arrival`
        The batch.
    neighbourhood : `Surroundings`
        The objects around it, to be read.
    n_single_source : `int`
        Objects in the APDB with exactly one source, before this batch.
    services : `Services`
        Algorithms and the clock.
    constraints : `Constraints`, optional
        Of a re-processing. By default an object has the id of the source that
        creates it, and the time comes after the versions of matched objects.

    Returns
    -------
    proposal : `Proposal`
        What `apply` changes.

    Raises
    ------
    TooManyNewObjectsError
        If more objects would be created than the settings allow.
    """
    batch, watch = arrival.batch, Stopwatch(services.clock, arrival.seconds)
    with watch.stage("load"):
        objects = neighbourhood.objects(arrival.region.tiles)
    with watch.stage("associate"):
        matches = match_sources(
            batch,
            arrival.region.usable,
            objects,
            services.algorithms,
            unlimited=arrival.unlimited,
            new_ids=batch.diaSourceId if constraints is None else constraints.new_ids,
        )
    with watch.stage("summarise"):
        summary = _summarise(arrival, matches, neighbourhood, services, constraints)
    with watch.stage("photometer"):
        states, forced_sources = _photometer(arrival, summary, objects.positions, neighbourhood, services)
    with watch.stage("rows"):
        owners = matches.diaObjectId[matches.stored], matches.ssObjectId[matches.stored]
        dia_sources = source_rows(batch, matches.stored, *owners, summary.timeProcessedMjdTai)
    time = summary.timeProcessedMjdTai
    metrics = replace(
        association_metrics(arrival, matches, services.partition, time, n_single_source, watch.seconds),
        numForcedSources=forced_sources.num_rows,
        forcedPhotometryError=arrival.image_error.reason if arrival.image_error else None,
    )
    decision = Decision(
        entry=LedgerEntry(
            batch.id,
            batch.digest,
            time,
            len(batch),
            len(matches.stored),
            arrival.position,
            images=batch.images,
            observation=batch.observation,
        ),
        metrics=metrics,
        states=states,
        superseded=summary.matched.diaObjectId,
        dia_sources=dia_sources,
        forced_sources=forced_sources,
        tiles=np.empty(0, np.int64),
        single_source_delta=metrics.totalUnassociatedDiaObjects - n_single_source,
        image_error=arrival.image_error,
    )
    return Proposal(decision, objects, summary.matched, summary.matched_tiles, watch)


@dataclass(frozen=True, slots=True)
class _Summary:
    """The objects of a batch with its sources folded in, before forced photometry.

    ``matched`` are the objects as they were, in ``matched_tiles``, ``states`` those and the new ones
    as they are, ``uncounted`` the forced sources that no version counts yet.
    """

    matched: ObjectPositions
    matched_tiles: IntArray
    states: ObjectStates
    uncounted: ForcedPoints
    timeProcessedMjdTai: float


def _summarise(
    arrival: Arrival,
    matches: BatchMatches,
    neighbourhood: Surroundings,
    services: Services,
    constraints: Constraints | None,
) -> _Summary:
    batch, calculator, positions = arrival.batch, services.calculator, matches.objects.positions
    matched = positions.take(matches.object_row[matches.associated])
    new = calculator.new_states(matches.diaObjectId[matches.new], *first_errors(batch, matches.new))
    matched_tiles = matches.objects.tile_of(matches.object_row[matches.associated])
    known = neighbourhood.states(matched, matched_tiles)
    before = ObjectStates.concatenate([known, new])
    uncounted = uncounted_points(neighbourhood.session, calculator, before, batch.id)
    # Whatever may be measured needs a time after its version, too.
    versions = positions.validityStartMjdTai if arrival.images else matched.validityStartMjdTai
    after = np.empty(0) if constraints is None else constraints.after
    time = later(services.clock.processing_time(), np.concatenate([versions, uncounted.timeProcessedMjdTai, after]))
    points = source_points(batch, np.concatenate([matches.associated, matches.new]), services.flag_columns)
    # Those of the neighbourhood are its own; put together with new ones they are a copy.
    states = calculator.update(before, points, time, in_place=before is not known)
    return _Summary(matched, matched_tiles, states, uncounted, time)


def _photometer(
    arrival: Arrival,
    summary: _Summary,
    objects: ObjectPositions,
    neighbourhood: Surroundings,
    services: Services,
) -> tuple[ObjectStates, pa.Table]:
    """Return the states with all forced sources folded in, and the new DiaForcedSource rows."""
    calculator, forced_sources = services.calculator, no_forced_sources()
    if arrival.images is not None and services.photometer is not None:
        others = objects.take(~np.isin(objects.diaObjectId, summary.matched.diaObjectId))
        forced_sources = measure_forced(
            Measurable(arrival, arrival.images, others),
            calculator.positions(summary.states),
            neighbourhood.session,
            services.photometer.selection,
            summary.timeProcessedMjdTai,
        )
    if not calculator.folds_forced:
        return summary.states, forced_sources
    counted = ForcedPoints.concatenate([summary.uncounted, ForcedPoints.of(forced_sources)])
    return calculator.fold_forced(summary.states, counted), forced_sources


def apply(proposal: Proposal, neighbourhood: Neighbourhood) -> Decision:
    """Change the sky as decided: put objects where they are now.

    Whatever this raises must undo the whole session.

    Parameters
    ----------
    proposal : `Proposal`
        From `decide`, on the same neighbourhood; nothing was applied in between.
    neighbourhood : `Neighbourhood`
        The objects around the batch.

    Returns
    -------
    decision : `Decision`
        Complete, for `~stream_assoc.pipeline.commit.commit`.
    """
    decision, watch = proposal.decision, proposal.watch
    with watch.stage("replace"):
        tiles = neighbourhood.replace(proposal.objects, proposal.matched, proposal.matched_tiles, decision.states)
    return replace(decision, tiles=tiles, metrics=replace(decision.metrics, stageSeconds=dict(watch.seconds)))
