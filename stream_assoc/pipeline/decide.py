"""What becomes of one batch, from its sources to the new states of its objects."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from stream_assoc.metrics.record import AssociationMetrics
from stream_assoc.model.changes import LedgerEntry
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.states import ObjectStates
from stream_assoc.model.types import FloatArray, IntArray
from stream_assoc.photometry.port import no_forced_sources
from stream_assoc.pipeline.arrival import Arrival
from stream_assoc.pipeline.clock import Stopwatch, later
from stream_assoc.pipeline.matching import match_sources
from stream_assoc.pipeline.measurements import measure
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.rooms import Rooms
from stream_assoc.pipeline.source_rows import first_errors, source_points, source_rows


@dataclass(frozen=True, slots=True)
class Decision:
    """What processing a batch came to: what `~stream_assoc.pipeline.commit.commit` makes rows and messages of.

    ``states`` are those of its objects after it; the rest is as in
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


def decide(
    arrival: Arrival,
    neighbourhood: Neighbourhood,
    n_single_source: int,
    rooms: Rooms,
    *,
    names: IntArray | None = None,
    versions: FloatArray | None = None,
) -> Decision:
    """Take one batch from its sources to the new states of its objects.

    Parameters
    ----------
    arrival : `Arrival`
        The batch.
    neighbourhood : `Neighbourhood`
        The objects around it; changed only if the batch is accepted.
    n_single_source : `int`
        Objects in the APDB with exactly one source, before this batch.
    rooms : `Rooms`
        Algorithms and the clock.
    names : `numpy.ndarray` [int64], shape (len(batch),), optional
        What an object that each source founds is called; the source's id by default.
    versions : `numpy.ndarray` [float64], optional
        Times that the processing time must come after, besides the versions of matched objects, MJD TAI.

    Returns
    -------
    decision : `Decision`
        What is to be written down.

    Raises
    ------
    TooManyNewObjectsError
        If more objects would be created than the settings allow.
    """
    batch, region = arrival.batch, arrival.region
    watch = Stopwatch(rooms.clock, arrival.seconds)

    with watch.stage("load"):
        objects = neighbourhood.objects(region.tiles)

    with watch.stage("associate"):
        matches = match_sources(
            batch, region.usable, objects, rooms.matchmakers, unlimited=arrival.unlimited, names=names
        )

    with watch.stage("summarise"):
        matched_rows = matches.object_row[matches.associated]
        matched = objects.positions.take(matched_rows)
        past = matched.validityStartMjdTai if versions is None else np.append(versions, matched.validityStartMjdTai)
        processing_time = later(rooms.clock.processing_time(), past)
        newborn = rooms.calculator.new_states(matches.diaObjectId[matches.new], *first_errors(batch, matches.new))
        before = ObjectStates.concatenate([neighbourhood.states(matched), newborn])
        sources = np.concatenate([matches.associated, matches.new])
        points = source_points(batch, sources, rooms.flag_columns)
        states = rooms.calculator.update(before, points, processing_time)

    with watch.stage("photometer"):
        forced_sources = no_forced_sources()
        if rooms.photometer is not None:
            others = objects.positions.without(matched_rows)
            here = ObjectPositions.concatenate([others, rooms.calculator.positions(states)])
            here = here.take(region.footprint.contains(here.ra, here.dec))
            forced_sources = rooms.photometer.measure(batch, here, processing_time)

    with watch.stage("rows"):
        dia_sources = source_rows(
            batch,
            matches.stored,
            matches.diaObjectId[matches.stored],
            matches.ssObjectId[matches.stored],
            processing_time,
        )

    # Nothing after this refuses the batch: a photometer may.
    neighbourhood.end_versions(matched, processing_time)
    with watch.stage("replace"):
        changed_tiles = neighbourhood.replace(matched, states)

    metrics = measure(arrival, matches, rooms.partition, processing_time, n_single_source, watch.seconds)
    return Decision(
        entry=LedgerEntry(batch.id, batch.digest, processing_time, len(batch), len(matches.stored), arrival.position),
        metrics=metrics,
        states=states,
        dia_sources=dia_sources,
        forced_sources=forced_sources,
        tiles=changed_tiles,
        single_source_delta=metrics.totalUnassociatedDiaObjects - n_single_source,
    )
