"""Tables of detections, cut into batches."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from stream_assoc.model.batch import Batch, BatchId
from stream_assoc.model.types import IntArray
from stream_assoc.transform.footprints import footprint_of
from stream_assoc.transform.mapping import Mapping

Order: TypeAlias = Literal["midpoint", "arrival"]
"""By time of observation, or by time of processing."""


def batches(table: pa.Table, mapping: Mapping, order: Order = "midpoint") -> Iterator[Batch]:
    """Cut a table of detections into batches, one for each visit and detector.

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

    Yields
    ------
    batch : `Batch`
        Its sources in the order of the table. Its digest is the SHA-256 of the
        content; encoding it gives the digest of a payload.

    Raises
    ------
    MappingError
        If the mapping does not fit the table.
    FootprintError
        If the positions of a batch outline no patch of sky.
    """
    selected = mapping.select(table)
    visits, sources = mapping.visits(selected), mapping.sources(selected)
    groups = list(_groups(visits, order))
    if not groups:
        return
    # Each batch is then a slice: no row is copied twice.
    sources = sources.take(pa.array(np.concatenate(groups)))
    begin = 0
    for rows in groups:
        header = visits.slice(rows[0], 1).to_pylist()[0]
        yield _batch(header, sources.slice(begin, len(rows)), mapping.footprint.margin_arcsec)
        begin += len(rows)


def _groups(visits: pa.Table, order: Order) -> Iterator[IntArray]:
    """Give the rows of each batch, ascending, the batches in the order asked for."""
    visit, detector = (visits.column(name).to_numpy() for name in ("visit", "detector"))
    midpoint, arrival = (visits.column(name).to_numpy() for name in ("midpointMjdTai", "arrival"))
    rows = np.lexsort((arrival, detector, visit))
    same_detector = (np.diff(visit[rows]) == 0) & (np.diff(detector[rows]) == 0)
    same_processing = same_detector & (np.diff(arrival[rows]) == 0)
    runs = np.split(rows, np.flatnonzero(~same_processing) + 1) if len(rows) else []
    if order == "midpoint":
        heads = np.array([run[0] for run in runs], dtype=np.int64)
        replaced = (np.diff(visit[heads]) == 0) & (np.diff(detector[heads]) == 0)
        runs = [run for run, is_replaced in zip(runs, [*replaced, False], strict=False) if not is_replaced]
    time = midpoint if order == "midpoint" else arrival
    yield from sorted(runs, key=lambda run: (time[run[0]], visit[run[0]], detector[run[0]]))


def _batch(header: dict[str, Any], sources: pa.RecordBatch, margin_arcsec: float) -> Batch:
    ra, dec = (sources.column(name).to_numpy() for name in ("ra", "dec"))
    batch = Batch(
        id=BatchId(header["visit"], header["detector"]),
        band=header["band"],
        midpointMjdTai=header["midpointMjdTai"],
        exposureTime=header["exposureTime"],
        footprint=footprint_of(ra, dec, margin_arcsec),
        diaSources=sources,
        digest=b"",
    )
    return replace(batch, digest=content_digest(batch))


def content_digest(batch: Batch) -> bytes:
    """Return the SHA-256 of what a batch says, for batches that no message carried."""
    digest = hashlib.sha256(
        repr((batch.id, batch.band, batch.midpointMjdTai, batch.exposureTime, batch.images)).encode()
    )
    moving = batch.solar_system_objects
    for array in (batch.footprint, moving.ssObjectId, moving.ra, moving.dec):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(batch.diaSources.serialize())
    return digest.digest()
