"""The association metrics of a batch."""

import numpy as np

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.metrics import AssociationMetrics, fraction_updated
from stream_assoc.core.model.types import FloatArray
from stream_assoc.pipeline.batches import Arrival
from stream_assoc.pipeline.matching import BatchMatches
from stream_assoc.pipeline.region import SkyPartition, in_footprint


def association_metrics(
    arrival: Arrival,
    matches: BatchMatches,
    partition: SkyPartition,
    timeProcessedMjdTai: float,
    n_single_source: int,
    seconds: dict[str, float],
) -> AssociationMetrics:
    """Return the association metrics of a batch.

    Parameters
    ----------
    arrival : `Arrival`
        The batch, its footprint, and where it came from.
    matches : `BatchMatches`
        The owner of each source, and the objects as they were before.
    partition : `SkyPartition`
        Its margin is how far outside of the footprint an object still counts
        as unassociated.
    timeProcessedMjdTai : `float`
        Processing time, MJD TAI.
    n_single_source : `int`
        Objects of the whole APDB with exactly one source, before this batch.
    seconds : `dict` [`str`, `float`]
        What each stage took.
    """
    batch, position = arrival.batch, arrival.position
    matched_rows = matches.object_row[matches.associated]
    unassociated = in_footprint(arrival.region, matches.objects, partition)
    unassociated[matched_rows] = False
    n_unassociated = int(np.count_nonzero(unassociated))
    no_longer_single = int(np.count_nonzero(matches.objects.positions.nDiaSources[matched_rows] == 1))
    margin = matches.association.margin[matches.association.object_row >= 0]
    rivals = margin[np.isfinite(margin)]
    offset_ra, offset_dec = _offsets_arcsec(batch, matches)
    return AssociationMetrics(
        visit=batch.id.visit,
        detector=batch.id.detector,
        band=batch.band,
        midpointMjdTai=batch.midpointMjdTai,
        timeProcessedMjdTai=timeProcessedMjdTai,
        numDiaSources=len(batch),
        numAssociatedDiaSources=len(matches.associated),
        numNewDiaObjects=len(matches.new),
        numUpdatedDiaObjects=len(matches.associated),
        numUnassociatedDiaObjects=n_unassociated,
        fracUpdatedDiaObjects=fraction_updated(len(matches.associated), n_unassociated),
        totalUnassociatedDiaObjects=n_single_source - no_longer_single + len(matches.new),
        numTotalSolarSystemObjects=len(batch.solar_system_objects),
        numDroppedSsObjects=matches.n_dropped_predictions,
        numAssociatedSsObjects=int(np.count_nonzero(matches.ssObjectId)),
        numMarginalDiaSources=matches.n_marginal,
        numDroppedDiaSources=matches.n_dropped,
        numAmbiguousDiaSources=len(rivals),
        medianMargin=_median(rivals),
        medianRaOffset=_median(offset_ra),
        medianDecOffset=_median(offset_dec),
        rmsSeparation=float(np.sqrt(np.mean(offset_ra**2 + offset_dec**2))) if len(offset_ra) else None,
        stageSeconds=dict(seconds),
        inputTopic=position.topic if position else None,
        inputPartition=position.partition if position else None,
        inputOffset=position.offset if position else None,
    )


def _offsets_arcsec(batch: Batch, matches: BatchMatches) -> tuple[FloatArray, FloatArray]:
    """Return source minus object, along right ascension (times cos dec) and declination."""
    ra, dec = batch.column("ra")[matches.associated], batch.column("dec")[matches.associated]
    rows = matches.object_row[matches.associated]
    objects = matches.objects.positions
    difference = (ra - objects.ra[rows] + 180.0) % 360.0 - 180.0
    return difference * np.cos(np.radians(dec)) * 3600.0, (dec - objects.dec[rows]) * 3600.0


def _median(values: FloatArray) -> float | None:
    return float(np.median(values)) if len(values) else None
