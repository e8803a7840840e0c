"""The way a batch travels, top to bottom.

    batches ── regions ── exclusive cells ─┬─ load ── associate ── create ── summarise ── photometer ─┐
                                           └──────────────── for each batch ──────────────────────────┤
                        publish (daemon) ── cache write-back ── one APDB transaction ─────────────────┘

`process_batches` is that picture; `process_batch` is the part inside the loop.
Nothing here knows Kafka. What is computed is computed by pure functions, what
is stored goes through the ports of `Rooms`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stream_assoc.apdb.port import Apdb
from stream_assoc.cache.packing import StateLayout
from stream_assoc.cache.port import ObjectCache
from stream_assoc.cache.staging import StagedCache
from stream_assoc.exceptions import PoisonError
from stream_assoc.failpoints import failpoint
from stream_assoc.metrics.record import AssociationMetrics
from stream_assoc.model.batch import Batch
from stream_assoc.model.changes import BatchChanges, InputPosition, LedgerEntry
from stream_assoc.model.objects import ObjectPositions
from stream_assoc.model.states import ObjectStates
from stream_assoc.model.types import IntArray
from stream_assoc.photometry.port import ForcedPhotometer, no_forced_sources
from stream_assoc.pipeline.arrival import Arrival
from stream_assoc.pipeline.clock import Clock, Stopwatch, later
from stream_assoc.pipeline.exceptions import ConflictingBatchError
from stream_assoc.pipeline.matching import Matchmakers, match_sources
from stream_assoc.pipeline.measurements import measure
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.outcomes import Outcome, Processed, Redelivered, Rejected
from stream_assoc.pipeline.region import SkyPartition, region_of
from stream_assoc.pipeline.source_rows import first_errors, source_points, source_rows
from stream_assoc.statistics.calculator import StatisticsCalculator
from stream_assoc.stream.outputs import OutputEncoder, pack_outputs, unpack_outputs


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything a batch meets on its way: algorithms, stores and the clock."""

    apdb: Apdb
    cache: ObjectCache
    layout: StateLayout
    matchmakers: Matchmakers
    calculator: StatisticsCalculator
    encoder: OutputEncoder
    partition: SkyPartition
    clock: Clock
    flag_columns: tuple[str, ...]
    photometer: ForcedPhotometer | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What processing a batch came to: what `write_down` makes rows and messages of.

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


def arrive(
    batch: Batch,
    rooms: Rooms,
    position: InputPosition | None = None,
    seconds: dict[str, float] | None = None,
    *,
    unlimited: bool = False,
) -> Arrival:
    """Return the batch with the sky it needs, ready to be processed.

    Parameters
    ----------
    batch : `Batch`
        The batch.
    rooms : `Rooms`
        What it will meet.
    position : `InputPosition`, optional
        The message it came in.
    seconds : `dict` [`str`, `float`], optional
        What earlier stages took.
    unlimited : `bool`, optional
        Whether it may create any number of objects.

    Raises
    ------
    InvalidFootprintError
        If its footprint is no convex outline on the sky.
    """
    watch = Stopwatch(rooms.clock, seconds)
    with watch.stage("region"):
        region = region_of(batch, rooms.partition, rooms.matchmakers.associator.config.max_distance_arcsec)
    return Arrival(batch, region, position, watch.seconds, unlimited)


def process_batches(arrivals: Sequence[Arrival], rooms: Rooms) -> list[Outcome]:
    """Process some batches in order, in one exclusive session and one transaction.

    The result of each is the same as if it had been processed alone. One that
    can never be processed is rejected and touches none of the others.

    Parameters
    ----------
    arrivals : `list` [`Arrival`]
        Decoded batches, in the order of their messages.
    rooms : `Rooms`
        What they meet.

    Returns
    -------
    outcomes : `list` [`Outcome`]
        One for each arrival, in order. Those `Processed` are durable.

    Raises
    ------
    RetriableError
        If a store went away. Either nothing was changed, or all of it was and
        the ledger will say so when the same arrivals are processed again.
    """
    if not arrivals:
        return []
    try:
        return _process_together(arrivals, rooms)
    except PoisonError as error:
        # The APDB refuses the rows of one batch, and with them the transaction of all.
        if len(arrivals) == 1:
            return [Rejected(arrivals[0].batch.id, error)]
        return [outcome for arrival in arrivals for outcome in process_batches([arrival], rooms)]


def _process_together(arrivals: Sequence[Arrival], rooms: Rooms) -> list[Outcome]:
    tiles = _union(arrival.region.tiles for arrival in arrivals)
    cells = np.unique(rooms.partition.cells(tiles))
    with rooms.apdb.exclusive(cells) as session:
        opening = session.open_batches([arrival.batch.id for arrival in arrivals], tiles)
        versions = dict(zip(tiles.tolist(), opening.tile_versions.tolist(), strict=True))
        staged = StagedCache(rooms.cache, rooms.layout)
        neighbourhood = Neighbourhood(session, staged, rooms.calculator, rooms.partition, versions)
        # One round trip for all; each batch finds its tiles there.
        neighbourhood.load(tiles)
        ledger = dict(opening.entries)
        n_single_source = opening.n_single_source
        outcomes: dict[int, Outcome] = {}
        decisions: dict[int, Decision] = {}
        for place, arrival in enumerate(arrivals):
            batch_id = arrival.batch.id
            try:
                if batch_id in ledger:
                    outcomes[place] = _redelivered(arrival, ledger[batch_id], rooms.apdb)
                    continue
                decision = process_batch(arrival, neighbourhood, n_single_source, rooms)
            except PoisonError as error:
                outcomes[place] = Rejected(batch_id, error)
                continue
            decisions[place] = decision
            ledger[batch_id] = decision.entry
            n_single_source += decision.single_source_delta
        if decisions:
            processed, changes = write_down(list(decisions.values()), rooms)
            outcomes |= zip(decisions, processed, strict=True)
            failpoint("before-store")
            new_versions = session.store(changes)
            failpoint("after-store")
            neighbourhood.flush(_union(change.tiles for change in changes), new_versions)
            failpoint("after-cache-write")
    return [outcomes[place] for place in range(len(arrivals))]


def process_batch(arrival: Arrival, neighbourhood: Neighbourhood, n_single_source: int, rooms: Rooms) -> Decision:
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
        matches = match_sources(batch, region.usable, objects, rooms.matchmakers, unlimited=arrival.unlimited)

    with watch.stage("summarise"):
        matched_rows = matches.object_row[matches.associated]
        matched = objects.positions.take(matched_rows)
        processing_time = later(rooms.clock.processing_time(), matched.validityStartMjdTai)
        newborn = rooms.calculator.new_states(batch.diaSourceId[matches.new], *first_errors(batch, matches.new))
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
    with watch.stage("replace"):
        changed_tiles = neighbourhood.replace(objects, matched_rows, states)

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


def write_down(decisions: Sequence[Decision], rooms: Rooms) -> tuple[list[Processed], list[BatchChanges]]:
    """Make rows and messages of some decisions.

    The objects of all batches go through Arrow and Avro together: a hundred
    columns cost as much for one row as for hundreds.

    Parameters
    ----------
    decisions : `list` [`Decision`]
        At least one.
    rooms : `Rooms`
        Algorithms and the encoder.

    Returns
    -------
    processed : `list` [`Processed`]
        The outcome of each, true once its changes are stored.
    changes : `list` [`BatchChanges`]
        What to store for each.
    """
    dia_objects = rooms.calculator.object_rows(ObjectStates.concatenate([one.states for one in decisions]))
    messages = rooms.encoder.encode_objects(dia_objects)
    processed, changes = [], []
    begin = 0
    for one in decisions:
        end = begin + len(one.states)
        outputs = [*messages[begin:end], rooms.encoder.encode_metrics(one.metrics)]
        processed.append(Processed(one.entry.id, one.metrics, outputs))
        changes.append(
            BatchChanges(
                entry=one.entry,
                dia_sources=one.dia_sources,
                dia_objects=dia_objects.slice(begin, end - begin),
                forced_sources=one.forced_sources,
                tiles=one.tiles,
                single_source_delta=one.single_source_delta,
                outputs=pack_outputs(outputs),
            )
        )
        begin = end
    return processed, changes


def _redelivered(arrival: Arrival, known: LedgerEntry, apdb: Apdb) -> Redelivered:
    batch = arrival.batch
    if known.digest != batch.digest:
        raise ConflictingBatchError(
            f"visit {batch.id.visit} detector {batch.id.detector} was processed at MJD "
            f"{known.timeProcessedMjdTai:.6f} with other content (digest {known.digest.hex()[:12]}, "
            f"now {batch.digest.hex()[:12]}); "
            "a producer must not reuse a (visit, detector) for different sources"
        )
    # The outputs belong to the message that was processed. A copy of it at another
    # offset publishes nothing: whoever reads the original does.
    if arrival.position is None or known.position != arrival.position:
        return Redelivered(batch.id, ())
    kept = apdb.outbox_entry(batch.id)
    return Redelivered(batch.id, unpack_outputs(kept.outputs) if kept else ())


def _union(parts: Iterable[IntArray]) -> IntArray:
    return np.unique(np.concatenate(list(parts)))
