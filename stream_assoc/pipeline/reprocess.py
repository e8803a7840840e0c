"""A batch before which objects are to be folded anew.

It may replace an earlier processing of its visit and detector, and it may come
to objects whose sources another program has reassigned, withdrawn or corrected.
In one exclusive session and one transaction the earlier sources are withdrawn,
the objects they belonged to, and those that were changed, are folded anew from
the sources they have left, and the new sources are associated with the sky that
remains. An object without sources is closed.

This may reach beyond the batch's own region, because the earlier sources may
lie elsewhere. What it reaches is only known for sure under the locks, so the
session is begun again with more cells if it turns out to need them.
"""

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.model.forced import ForcedPoints
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline.batches import Arrival, Outcome, Rejected, redelivery
from stream_assoc.pipeline.commit import commit
from stream_assoc.pipeline.decide import Constraints, Decision, apply, decide
from stream_assoc.pipeline.exceptions import LocksExhaustedError, TooManyCellsError
from stream_assoc.pipeline.forced import rebuilt_states, uncounted_points
from stream_assoc.pipeline.neighbourhood import Neighbourhood, neighbourhood_of, tiles_of
from stream_assoc.pipeline.ports.reader import SessionSnapshot
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.region import refused_alone
from stream_assoc.pipeline.services import Services


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What taking back the earlier processings of a batch, and the changes of other programs, leave.

    Attributes
    ----------
    revision : `int`
        How many of them there were.
    n_sources : `int`
        Sources that counted so far.
    objects : `ObjectPositions`
        The objects they belonged to, those that count a forced source of
        theirs, and those of the batch's tiles whose version another program
        has made out of date, as they are in the APDB.
    left : `ObjectStates`
        Those of the objects that have other sources, folded from these.
    uncounted : `ForcedPoints`
        Forced sources that no version of these objects counts yet.
    forced_sources : `pyarrow.Table`
        The forced sources of the earlier processing.
    new_ids : `numpy.ndarray` [int64], shape (len(batch),)
        The diaObjectId of an object that each source of the batch creates.
    versions : `numpy.ndarray` [float64]
        Times that the processing time must come after, MJD TAI.
    """

    revision: int
    n_sources: int
    objects: ObjectPositions
    left: ObjectStates
    uncounted: ForcedPoints
    forced_sources: pa.Table
    new_ids: IntArray
    versions: FloatArray


def reprocess(arrival: Arrival, services: Services) -> Outcome:
    """Process a batch that may replace an earlier one, and fold anew what other programs have changed around it.

    A batch whose content has counted before changes nothing, and one whose
    visit and detector is unknown is processed as any other.

    Parameters
    ----------
    arrival : `Arrival`
        The batch.
    services : `Services`
        Algorithms, stores and the clock.

    Raises
    ------
    TilesChangedError
        If another program has changed its sky meanwhile.
    RetriableError
        If a store went away, as in `~stream_assoc.pipeline.process.process_batches`.
    """
    try:
        return _reprocess(arrival, services)
    except LocksExhaustedError as error:
        return Rejected(arrival.batch.id, refused_alone(error))
    except PoisonError as error:
        return Rejected(arrival.batch.id, error)


def _reprocess(arrival: Arrival, services: Services) -> Outcome:
    batch_id, tiles = arrival.batch.id, arrival.region.tiles
    while True:
        services.on_progress()
        with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as session:
            snapshot = session.read_snapshot([batch_id], tiles)
            entries = snapshot.entries.get(batch_id, ())
            if (known := redelivery(arrival, entries, services)) is not None:
                return known
            # Those of the tiles that are added on the way can wait for a batch of their own.
            outdated = snapshot.changed.outdated(arrival.region.tiles)
            withdrawal = _withdrawal(session, arrival.batch, entries, outdated, services.calculator)
            needed = _tiles_of(withdrawal, services)
            if np.isin(needed, tiles).all():
                return _replace_earlier(arrival, withdrawal, snapshot, session, services, tiles)
        tiles = np.union1d(tiles, needed)
        _refuse_too_many_cells(arrival, tiles, services)


def _refuse_too_many_cells(arrival: Arrival, tiles: IntArray, services: Services) -> None:
    n_cells, limit = len(np.unique(services.partition.cells(tiles))), services.cell_limits.session
    if n_cells > limit:
        raise TooManyCellsError(
            f"visit {arrival.batch.id.visit} detector {arrival.batch.id.detector} and the objects that are folded "
            f"anew with it lie in {n_cells} cells of the sky, daemon.micro_batch_cells allows {limit}; raise that "
            "setting and PostgreSQL's max_locks_per_transaction with it"
        )


def _withdrawal(
    session: ApdbSession,
    batch: Batch,
    entries: tuple[LedgerEntry, ...],
    outdated: IntArray,
    calculator: StatisticsCalculator,
) -> Withdrawal:
    sources = session.counted_sources(batch.id)
    owners = sources.diaObjectId[sources.diaObjectId != 0]
    # Whether or not this daemon counts them: another one, with other plugins, may have.
    forced = session.counted_forced_sources(batch.id)
    latest = session.latest_versions(np.concatenate([owners, forced.diaObjectId, outdated, batch.diaSourceId]))
    positions = latest.positions
    lose = np.isin(positions.diaObjectId, np.concatenate([owners, outdated])) | _count(positions, forced)
    objects = positions.take(latest.is_open & lose)
    left = rebuilt_states(session, calculator, objects.diaObjectId, without=batch.id)
    left = left.take(np.flatnonzero(calculator.positions(left).nDiaSources))
    uncounted = uncounted_points(session, calculator, left, batch.id)
    emptied = np.setdiff1d(objects.diaObjectId, left.diaObjectId)
    closed = positions.diaObjectId[~latest.is_open]
    owning = closed[session.has_good_source(closed, None, without=batch.id)]
    living = np.union1d(np.setdiff1d(positions.diaObjectId[latest.is_open], emptied), owning)
    remade = ~latest.is_open & np.isin(positions.diaObjectId, batch.diaSourceId)
    return Withdrawal(
        revision=len(entries),
        n_sources=len(sources),
        objects=objects,
        left=left,
        uncounted=uncounted,
        forced_sources=session.forced_source_rows(batch.id),
        new_ids=_new_ids(batch.diaSourceId, living, len(entries)),
        versions=np.concatenate(
            [
                positions.validityStartMjdTai,
                # An administrator may have closed an object that is made again, by a clock that is ahead of ours.
                latest.validityEndMjdTai[remade],
                uncounted.timeProcessedMjdTai,
                [entry.timeProcessedMjdTai for entry in entries],
            ]
        ),
    )


def _count(positions: ObjectPositions, forced: ForcedPoints) -> BoolArray:
    """Tell which objects' versions count a forced source of these, each of which is another object's."""
    measured = np.full(len(positions), np.inf)
    rows = np.searchsorted(positions.diaObjectId, forced.diaObjectId)
    known = rows < len(positions)
    known[known] = positions.diaObjectId[rows[known]] == forced.diaObjectId[known]
    measured[rows[known]] = forced.timeProcessedMjdTai[known]
    return np.asarray(measured <= positions.validityStartMjdTai)


def _new_ids(diaSourceId: IntArray, living: IntArray, revision: int) -> IntArray:
    """Return the diaObjectId of objects that these sources create.

    That is the source's own id, unless an object of this name lives on: the
    source that it is named after is withdrawn, but it has others, or an
    administrator has closed it and left it some. Then it is a negative number,
    as no producer gives to a source, drawn from the id and the revision, so
    that a repetition gives the same.
    """
    names = diaSourceId.copy()
    for row in np.flatnonzero(np.isin(diaSourceId, living)).tolist():
        digest = hashlib.sha256(f"{diaSourceId[row]}.{revision}".encode()).digest()
        names[row] = -1 - (int.from_bytes(digest[:8], "big") >> 1)
    return names


def _tiles_of(withdrawal: Withdrawal, services: Services) -> IntArray:
    """Return the tiles that lose an object, or that one moves to when it loses a source."""
    left = services.calculator.positions(withdrawal.left)
    both = ObjectPositions.concatenate([withdrawal.objects, left])
    return np.unique(tiles_of(both, services.partition))


def _replace_earlier(
    arrival: Arrival,
    withdrawal: Withdrawal,
    snapshot: SessionSnapshot,
    session: ApdbSession,
    services: Services,
    tiles: IntArray,
) -> Outcome:
    neighbourhood = neighbourhood_of(session, snapshot, tiles, services)
    withdrawn_tiles = tiles_of(withdrawal.objects, services.partition)
    left_tiles = neighbourhood.replace(
        neighbourhood.objects(tiles), withdrawal.objects, withdrawn_tiles, withdrawal.left
    )
    n_single = np.count_nonzero(services.calculator.positions(withdrawal.left).nDiaSources == 1)
    withdrawn_delta = int(n_single - np.count_nonzero(withdrawal.objects.nDiaSources == 1))
    n_single_source = snapshot.n_single_source + withdrawn_delta
    constraints = Constraints(withdrawal.new_ids, withdrawal.versions)
    proposal = decide(arrival, neighbourhood, n_single_source, services, constraints)
    decision = apply(proposal, neighbourhood)
    states, moved_tiles = _with_objects_that_lost_sources(decision, withdrawal, neighbourhood, services)
    closed = withdrawal.objects.take(~np.isin(withdrawal.objects.diaObjectId, states.diaObjectId))
    completed = dataclasses.replace(
        decision,
        entry=dataclasses.replace(decision.entry, revision=withdrawal.revision),
        metrics=dataclasses.replace(
            decision.metrics,
            revision=withdrawal.revision,
            numWithdrawnDiaSources=withdrawal.n_sources,
            numClosedDiaObjects=len(closed),
        ),
        states=states,
        tiles=np.unique(np.concatenate([decision.tiles, left_tiles, moved_tiles])),
        single_source_delta=decision.single_source_delta + withdrawn_delta,
        closed=closed,
        voided=withdrawal.objects.diaObjectId,
        withdrawn_forced_sources=_withdrawn(withdrawal.forced_sources, decision),
    )
    (processed,) = commit([completed], session, neighbourhood, snapshot.unpublished, services)
    return processed


def _withdrawn(forced_sources: pa.Table, decision: Decision) -> pa.Table:
    """Return the earlier forced sources that are not measured again, with the time at which they cease to count."""
    measured = decision.forced_sources.column("diaObjectId").combine_chunks()
    left = forced_sources.filter(pc.invert(pc.is_in(forced_sources.column("diaObjectId"), measured)))
    column = left.schema.get_field_index("timeWithdrawnMjdTai")
    times = pa.repeat(pa.scalar(decision.entry.timeProcessedMjdTai, pa.float64()), left.num_rows)
    return left.set_column(column, left.schema.field(column), times)


def _with_objects_that_lost_sources(
    decision: Decision, withdrawal: Withdrawal, neighbourhood: Neighbourhood, services: Services
) -> tuple[ObjectStates, IntArray]:
    """Return the states of all objects that have changed, with those that only lost a source, and their tiles."""
    calculator = services.calculator
    rows = np.flatnonzero(~np.isin(withdrawal.left.diaObjectId, decision.states.diaObjectId))
    before = withdrawal.left.take(rows)
    versions = np.full(len(rows), decision.entry.timeProcessedMjdTai)
    reduced = dataclasses.replace(before, validityStartMjdTai=versions)
    if calculator.folds_forced:
        points = ForcedPoints.concatenate([withdrawal.uncounted, ForcedPoints.of(decision.forced_sources)])
        reduced = calculator.fold_forced(reduced, points)
    positions = calculator.positions(before)
    before_tiles = tiles_of(positions, services.partition)
    tiles = neighbourhood.replace(TiledObjects.empty(), positions, before_tiles, reduced)
    return ObjectStates.concatenate([decision.states, reduced]), tiles
