"""The association metrics: one record a batch, published and counted."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any


# A dataclass field has the type of what it will hold.
def _metric(doc: str, unit: str = "", default: Any = MISSING) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"doc": doc, "unit": unit})


@dataclass(frozen=True, slots=True)
class AssociationMetrics:
    """What association did with one batch.

    The names and definitions of the counts are those of the metrics tasks of
    ``lsst.ap.association`` (SQR-026 describes how Rubin stores them). The
    definition and unit of each field are its dataclass metadata (``doc`` and
    ``unit``), from which ``association_metrics.avsc`` is generated.

    Every source of a batch is counted once::

        numDiaSources == numAssociatedDiaSources + numAssociatedSsObjects
                         + numNewDiaObjects + numMarginalDiaSources + numDroppedDiaSources
    """

    visit: int = _metric("Visit of the batch.")
    detector: int = _metric("Detector of the batch.")
    band: str = _metric("Filter band of the visit.")
    midpointMjdTai: float = _metric("Middle of the exposure, MJD TAI.", "d")
    timeProcessedMjdTai: float = _metric("Processing time given to the rows of the batch, MJD TAI.", "d")
    numDiaSources: int = _metric("DIASources in the message.")
    numAssociatedDiaSources: int = _metric("DIASources matched to a DIAObject that existed before the batch.")
    numNewDiaObjects: int = _metric("DIAObjects created, one for each unmatched source of sufficient quality.")
    numUpdatedDiaObjects: int = _metric("DIAObjects that existed before the batch and gained a source.")
    numUnassociatedDiaObjects: int = _metric(
        "DIAObjects inside the footprint of the batch that existed before and gained no source."
    )
    fracUpdatedDiaObjects: float | None = _metric(
        "numUpdatedDiaObjects / (numUpdatedDiaObjects + numUnassociatedDiaObjects); null where there was no object."
    )
    totalUnassociatedDiaObjects: int = _metric(
        "DIAObjects of the whole APDB with exactly one source, after the batch."
    )
    numTotalSolarSystemObjects: int = _metric("Solar-system objects predicted within the batch.")
    numAssociatedSsObjects: int = _metric(
        "DIASources matched to a predicted solar-system object, or whose producer says which one they are."
    )
    numMarginalDiaSources: int = _metric("Unmatched DIASources of too low a quality to become a DIAObject.")
    numDroppedDiaSources: int = _metric("DIASources without a usable position: not finite, or off the sphere.")
    numAmbiguousDiaSources: int = _metric("Matched DIASources that had more than one candidate DIAObject.")
    medianMargin: float | None = _metric(
        "Median over the ambiguous sources of the runner-up's score minus the match's; null without any."
    )
    medianRaOffset: float | None = _metric(
        "Median of (source - object) in right ascension times cos(dec) over the matched sources; null without any.",
        "arcsec",
    )
    medianDecOffset: float | None = _metric(
        "Median of (source - object) in declination over the matched sources; null without any.", "arcsec"
    )
    rmsSeparation: float | None = _metric(  # noqa: N815
        "Root mean square separation of the matched sources from their objects; null without any.", "arcsec"
    )
    stageSeconds: Mapping[str, float] = _metric(  # noqa: N815
        "Wall-clock time of each stage of the batch, from decoding to encoding the outputs.", "s"
    )
    inputTopic: str | None = _metric("Topic the batch was read from; null when it did not come from Kafka.")  # noqa: N815
    inputPartition: int | None = _metric("Partition the batch was read from.")  # noqa: N815
    inputOffset: int | None = _metric("Offset the batch was read from.")  # noqa: N815
    revision: int = _metric(
        "How many processings of this visit and detector went before; above 0, this took the place of the last.",
        default=0,
    )
    numWithdrawnDiaSources: int = _metric(
        "DIASources of an earlier processing that count no longer: withdrawn, or replaced under the same id.",
        default=0,
    )
    numClosedDiaObjects: int = _metric(
        "DIAObjects that ended because they had no other DIASource than withdrawn ones.", default=0
    )
    numForcedSources: int = _metric(
        "DIAForcedSources: objects whose flux was measured on the images of the batch.", default=0
    )
    forcedPhotometryError: str | None = _metric(  # noqa: N815
        "Why nothing was measured although the batch names images: refused, unavailable, missing, too_large, "
        "damaged, incomplete or mismatch; null when all is well.",
        default=None,
    )
    numDroppedSsObjects: int = _metric(
        "Predicted solar-system objects set aside: without a positive ssObjectId or a position, or listed twice.",
        default=0,
    )


def fraction_updated(updated: int, unassociated: int) -> float | None:
    """Return the share of the known DIAObjects in a batch that were detected again.

    Parameters
    ----------
    updated, unassociated : `int`
        Known objects in the footprint with and without a new source.

    Returns
    -------
    fraction : `float` or `None`
        ``updated / (updated + unassociated)``, or `None` where no object was
        known: upstream's metric is then undefined, not zero.
    """
    known = updated + unassociated
    return updated / known if known else None
