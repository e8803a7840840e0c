"""What becomes of one batch, from its sources to the new states of its objects.

`decide` may refuse the batch, and is given nothing that it could change.
`apply` changes the sky as decided, and is no place to refuse: it is called
where no refusal is caught before the whole session is undone.
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
from stream_assoc.pipeline.arrival import Arrival
from stream_assoc.pipeline.clock import Stopwatch, later
from stream_assoc.pipeline.exceptions import ImageError
from stream_assoc.pipeline.forced import Measurable, measure_forced, uncounted_points
from stream_assoc.pipeline.matching import match_sources
from stream_assoc.pipeline.measurements import measure
from stream_assoc.pipeline.neighbourhood import Neighbourhood, Surroundings
from stream_assoc.pipeline.ports.photometry import no_forced_sources
from stream_assoc.pipeline.services import Services
from stream_assoc.pipeline.source_rows import first_errors, source_points, source_rows


@dataclass(frozen=True, slots=True)
class Decision:
    """What processing a batch came to: what `~stream_assoc.pipeline.commit.commit` makes rows and messages of.

    ``states`` are those of its objects after it, ``withdrawn_forced_sources``
    the rows that it takes back and does not replace; the rest is as in
    `BatchChanges` and `Processed`.
    """

    entry: LedgerEntry
    metrics: AssociationMetrics
    states: ObjectStates
    dia_sources: pa.Table
    forced_sources: pa.Table
    tiles: IntArray
    single_source_delta: int
    closed: ObjectPositions = field(default_factory=ObjectPositions.empty)
    image_error: ImageError | None = None
    withdrawn_forced_sources: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was decided over a batch, before anything is changed.

    Attributes
    ----------
    decision : `Decision`
        Complete but for the tiles.
    objects : `TiledObjects`
        The objects around the batch, as they were.
    matched : `ObjectPositions`
        Those of them that it changes.
    watch : `Stopwatch`
        Has timed the stages so far.
    """

    decision: Decision
    objects: TiledObjects
    matched: ObjectPositions
    watch: Stopwatch


def decide(
    arrival: Arrival,
    neighbourhood: Surroundings,
    n_single_source: int,
    services: Services,
    *,
    names: IntArray | None = None,
    versions: FloatArray | None = None,
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
    names : `numpy.ndarray` [int64], shape (len(batch),), optional
        What an object that each source founds is called; the source's id by default.
    versions : `numpy.ndarray` [float64], optional
        Times that the processing time must come after, besides the versions of matched objects, MJD TAI.

    Returns
    -------
    proposal : `Proposal`
        What `apply` is to change.

    Raises
    ------
    TooManyNewObjectsError
        If more objects would be created than the settings allow.
    """
    batch, region = arrival.batch, arrival.region
    watch = Stopwatch(services.clock, arrival.seconds)

    with watch.stage("load"):
        objects = neighbourhood.objects(region.tiles)

    with watch.stage("associate"):
        matches = match_sources(
            batch, region.usable, objects, services.matchmakers, unlimited=arrival.unlimited, names=names
        )

    with watch.stage("summarise"):
        matched_rows = matches.object_row[matches.associated]
        matched = objects.positions.take(matched_rows)
        newborn = services.calculator.new_states(matches.diaObjectId[matches.new], *first_errors(batch, matches.new))
        before = ObjectStates.concatenate([neighbourhood.states(matched), newborn])
        uncounted = uncounted_points(neighbourhood.session, services.calculator, before, batch.id)
        around = objects.positions if arrival.images else matched
        past = [around.validityStartMjdTai, uncounted.timeProcessedMjdTai, *([] if versions is None else [versions])]
        processing_time = later(services.clock.processing_time(), np.concatenate(past))
        sources = np.concatenate([matches.associated, matches.new])
        points = source_points(batch, sources, services.flag_columns)
        states = services.calculator.update(before, points, processing_time)

    with watch.stage("photometer"):
        forced_sources = no_forced_sources()
        if arrival.images is not None and services.photometer is not None:
            forced_sources = measure_forced(
                Measurable(arrival, arrival.images, objects.positions.without(matched_rows)),
                services.calculator.positions(states),
                neighbourhood.session,
                services.photometer.selection,
                processing_time,
            )
        if services.calculator.folds_forced:
            counted = ForcedPoints.concatenate([uncounted, ForcedPoints.of(forced_sources)])
            states = services.calculator.fold_forced(states, counted)

    with watch.stage("rows"):
        dia_sources = source_rows(
            batch,
            matches.stored,
            matches.diaObjectId[matches.stored],
            matches.ssObjectId[matches.stored],
            processing_time,
        )

    metrics = replace(
        measure(arrival, matches, services.partition, processing_time, n_single_source, watch.seconds),
        numForcedSources=forced_sources.num_rows,
        forcedPhotometryError=arrival.image_error.reason if arrival.image_error else None,
    )
    decision = Decision(
        entry=LedgerEntry(batch.id, batch.digest, processing_time, len(batch), len(matches.stored), arrival.position),
        metrics=metrics,
        states=states,
        dia_sources=dia_sources,
        forced_sources=forced_sources,
        tiles=np.empty(0, np.int64),
        single_source_delta=metrics.totalUnassociatedDiaObjects - n_single_source,
        image_error=arrival.image_error,
    )
    return Proposal(decision, objects, matched, watch)


def apply(proposal: Proposal, neighbourhood: Neighbourhood) -> Decision:
    """Change the sky as decided: the versions that are superseded end, and the objects are where they are now.

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
        What is to be written down.
    """
    decision, watch = proposal.decision, proposal.watch
    neighbourhood.end_versions(proposal.matched, decision.entry.timeProcessedMjdTai)
    with watch.stage("replace"):
        tiles = neighbourhood.replace(proposal.objects, proposal.matched, decision.states)
    return replace(decision, tiles=tiles, metrics=replace(decision.metrics, stageSeconds=dict(watch.seconds)))
