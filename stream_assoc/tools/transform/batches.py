"""Tables of detections, cut into batches: select, convert, check rows, group, check that groups agree."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.times import SECONDS_PER_DAY
from stream_assoc.core.model.types import BANDS, BoolArray, FloatArray, IntArray
from stream_assoc.core.sky.vectors import unit_vectors
from stream_assoc.tools.transform.columns import Detections, MissingColumns, detections_of, measured_schema
from stream_assoc.tools.transform.conversion import mask_of, stated_units
from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.footprints import footprint_of
from stream_assoc.tools.transform.groups import (
    MAX_RADIUS_DEG,
    TIME_TOLERANCE_SECONDS,
    Groups,
    disagreeing,
    far_off,
    groups_of,
    of_another_visit,
    repeated_in_group,
    replaced,
)
from stream_assoc.tools.transform.mapping import Mapping
from stream_assoc.tools.transform.report import TableReport
from stream_assoc.tools.transform.row_checks import check_rows, floats, integers
from stream_assoc.tools.transform.selection import Sieve, column_paths, select_rows, selected_columns

Order: TypeAlias = Literal["midpoint", "arrival"]
"""By time of observation, or by time of processing."""


@dataclass(frozen=True, slots=True)
class TableBatches:
    """The batches of a table, made one by one as they are asked for.

    Attributes
    ----------
    report : `TableReport`
        What became of every row.
    visits : `Visits`
        What the rows say of their visit.
    sources : `pyarrow.RecordBatch`
        The rows of the groups, in their order.
    groups : `Groups`
        In the order of the batches.
    margin_arcsec : `float`
        Of a footprint.
    """

    report: TableReport
    visits: "Visits"
    sources: pa.RecordBatch
    groups: Groups
    margin_arcsec: float

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches; their sources are slices, so that no row is copied twice."""
        heads, counts, starts = (one.tolist() for one in (self.groups.heads, self.groups.counts, self.groups.starts))
        midpoint = self.groups.medians(self.visits.midpointMjdTai).tolist()
        exposure = self.groups.least(self.visits.exposureTime).tolist()
        for number, head in enumerate(heads):
            sources = self.sources.slice(starts[number], counts[number])
            ra, dec = (sources.column(name).to_numpy() for name in ("ra", "dec"))
            batch = Batch(
                id=BatchId(int(self.visits.visit[head]), int(self.visits.detector[head])),
                band=BANDS[self.visits.band[head]],
                midpointMjdTai=midpoint[number],
                exposureTime=None if np.isnan(exposure[number]) else exposure[number],
                footprint=footprint_of(ra, dec, self.margin_arcsec),
                diaSources=sources,
                digest=b"",
            )
            yield replace(batch, digest=content_digest(batch))


@dataclass(frozen=True, slots=True)
class Visits:
    """What every row of a table says of its visit.

    Attributes
    ----------
    visit, detector, band : `numpy.ndarray` [int64]
        ``band`` is the position in `~stream_assoc.core.model.types.BANDS`, -1 for none of them.
    midpointMjdTai, exposureTime, arrival : `numpy.ndarray` [float64]
        NaN where unknown. ``arrival`` is the midpoint where nothing tells when a row was processed:
        none was before.
    """

    visit: IntArray
    detector: IntArray
    band: IntArray
    midpointMjdTai: FloatArray
    exposureTime: FloatArray
    arrival: FloatArray

    @classmethod
    def of(cls, detections: Detections) -> "Visits":
        """Return the visits of a table."""
        visits = detections.visits
        midpoint, arrival = floats(visits["midpointMjdTai"]), floats(visits["arrival"])
        band = np.full(len(midpoint), -1, np.int64)
        for number, name in enumerate(BANDS):
            band[mask_of(pc.fill_null(pc.equal(visits["band"], name), False))] = number
        return cls(
            visit=integers(visits["visit"]),
            detector=integers(visits["detector"]),
            band=band,
            midpointMjdTai=midpoint,
            exposureTime=floats(visits["exposureTime"]),
            arrival=np.where(np.isnan(arrival), midpoint, arrival),
        )


def batches(
    table: pa.Table, mapping: Mapping, order: Order = "midpoint", unread: Collection[str] = ()
) -> TableBatches:
    """Cut a table of detections into batches, one for each visit and detector.

    A row that cannot be believed is left out and counted, and harms no other.
    Rows of one visit and detector must agree in band, midpoint and exposure
    time: those that say something else than most of them are left out, and all
    of them where there are no most.

    A table that tells when its rows were processed may hold a visit and
    detector twice: it was processed again. In the order of observation only the
    last processing is given, the sky as it is finally known. In the order of
    arrival each processing is a batch of its own, as it happened; the later
    one then has the `BatchId` of the earlier one and other content.

    Parameters
    ----------
    table : `pyarrow.Table`
        Detections, in any order.
    mapping : `Mapping`
        What its columns mean.
    order : ``"midpoint"`` or ``"arrival"``
        Batches come ordered by this time, then visit, then detector.
    unread : `~collections.abc.Collection` [`str`], optional
        Columns that are not in ``table`` because the mapping does not name them; one of them may be misspelt.

    Returns
    -------
    batches : `TableBatches`
        The sources of each in the order of the table. A digest is the SHA-256 of the
        content; encoding it gives the digest of a payload.

    Raises
    ------
    MappingError
        If the mapping does not fit the table, or no row can be believed.
    """
    selected = selected_columns(table, mapping)
    sieve = Sieve(table.num_rows)
    if table.num_rows:
        select_rows(selected, mapping, sieve)
    n_selected = int(sieve.kept.sum())
    if not n_selected:
        return _none(sieve, mapping)
    taken = set(selected.schema.names)
    others = [name for name in map(".".join, column_paths(table.schema)) if name not in taken]
    detections = detections_of(selected, mapping, sieve, unread=[*others, *unread], units=stated_units(table.schema))
    if order == "arrival" and detections.visits["arrival"].null_count == table.num_rows:
        raise MappingError(f"{mapping.file}: {_no_arrival(mapping)}; order by midpoint instead")
    check_rows(detections, sieve)
    visits = Visits.of(detections)
    groups = _agreeing_groups(detections, visits, order, sieve)
    report = _report(detections, visits, groups, sieve)
    if not len(groups):
        raise MappingError(f"{mapping.file}: none of {n_selected:,} rows can be used. {report.reasons()}")
    return TableBatches(report, visits, _sources(detections, groups.rows), groups, mapping.footprint.margin_arcsec)


def _visit_text(batch: Batch) -> str:
    """Return what is one value a batch as text, without what no first release knew where it is not told."""
    images, observation = batch.images, batch.observation
    known = f"ImageUris(difference={images.difference!r}, science={images.science!r})"
    later = [one for one in (images.template, observation.reason, observation.target) if one is not None]
    visit = f"({batch.id!r}, {batch.band!r}, {batch.midpointMjdTai!r}, {batch.exposureTime!r}, {known})"
    return f"{visit}{later}" if later else visit


def content_digest(batch: Batch) -> bytes:
    """Return the SHA-256 of what a batch says, for batches that no message carried."""
    digest = hashlib.sha256(_visit_text(batch).encode())
    moving = batch.solar_system_objects
    for array in (batch.footprint, moving.ssObjectId, moving.ra, moving.dec):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(batch.diaSources.serialize())
    return digest.digest()


def _agreeing_groups(detections: Detections, visits: Visits, order: Order, sieve: Sieve) -> Groups:
    def grouped(among: BoolArray | bool = True) -> Groups:
        return groups_of(np.flatnonzero(sieve.kept & among), visits.visit, visits.detector, visits.arrival)

    if order == "midpoint":
        groups = grouped()
        earlier = np.zeros(len(sieve.kept), np.bool_)
        earlier[groups.rows] = replaced(groups, visits.visit, visits.detector)[groups.labels]
        sieve.leave_out(
            earlier, "of an earlier processing of their visit and detector, which --order arrival would give"
        )
    others = "other rows of the visit and detector"
    sieve.leave_out(disagreeing(grouped(), visits.band, 0), f"batch.band is not that of the {others}")
    tolerance_days = TIME_TOLERANCE_SECONDS / SECONDS_PER_DAY
    sieve.leave_out(
        disagreeing(grouped(), visits.midpointMjdTai, tolerance_days),
        f"batch.midpointMjdTai is not that of the {others}",
    )
    is_known = ~np.isnan(visits.exposureTime)
    sieve.leave_out(
        disagreeing(grouped(is_known), visits.exposureTime, TIME_TOLERANCE_SECONDS),
        f"batch.exposureTime is not that of the {others}",
    )
    ids = integers(detections.sources["diaSourceId"])
    sieve.leave_out(repeated_in_group(grouped(), ids), "diaSourceId repeated in its visit and detector")
    sieve.leave_out(
        of_another_visit(np.flatnonzero(sieve.kept), ids, visits.visit, visits.detector),
        "diaSourceId is that of a row of another visit or detector",
    )
    vectors = unit_vectors(*(floats(detections.sources[name]) for name in ("ra", "dec")))
    sieve.leave_out(far_off(grouped(), vectors), f"more than {MAX_RADIUS_DEG:.0f} degrees from most {others}")
    return _ordered(grouped(), visits, order)


def _ordered(groups: Groups, visits: Visits, order: Order) -> Groups:
    time = groups.medians(visits.midpointMjdTai if order == "midpoint" else visits.arrival)
    heads, counts = groups.heads, groups.counts
    sequence = np.lexsort((visits.detector[heads], visits.visit[heads], time))
    starts = np.concatenate([[0], np.cumsum(counts[sequence])[:-1]]) if len(groups) else groups.starts
    offsets = np.arange(len(groups.rows)) - np.repeat(starts, counts[sequence])
    return Groups(groups.rows[np.repeat(groups.starts[sequence], counts[sequence]) + offsets], starts)


def _sources(detections: Detections, rows: IntArray) -> pa.RecordBatch:
    taken = pa.array(rows)
    columns = [detections.sources[name].take(taken) for name in measured_schema().names]
    return pa.RecordBatch.from_arrays(columns, schema=measured_schema())


def _report(detections: Detections, visits: Visits, groups: Groups, sieve: Sieve) -> TableReport:
    named: Sequence[int] = [row for one in sieve.left_out for row in one.rows]
    ids = integers(detections.sources["diaSourceId"])
    names = {row: f"visit {visits.visit[row]} detector {visits.detector[row]} source {ids[row]}" for row in named}
    return TableReport(len(sieve.kept), int(sieve.kept.sum()), len(groups), sieve.left_out, detections.missing, names)


def _none(sieve: Sieve, mapping: Mapping) -> TableBatches:
    """Return the batches of a table without rows of the survey: none."""
    nothing = np.empty(0, np.int64)
    names = {row: f"row {row}" for one in sieve.left_out for row in one.rows}
    report = TableReport(len(sieve.kept), 0, 0, sieve.left_out, MissingColumns((), {}), names)
    no_floats = np.empty(0)
    return TableBatches(
        report,
        Visits(nothing, nothing, nothing, no_floats, no_floats, no_floats),
        pa.RecordBatch.from_pylist([], schema=measured_schema()),
        Groups(nothing, nothing),
        mapping.footprint.margin_arcsec,
    )


def _no_arrival(mapping: Mapping) -> str:
    if mapping.batch.arrival is None:
        return "the mapping names no column that tells when a row was processed (batch.arrival)"
    return f"no row tells when it was processed ({' or '.join(mapping.batch.arrival.inputs)})"
