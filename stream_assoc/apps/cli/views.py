"""How the records of the output topics are shown: as rows of a table, as lines for people, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stream_assoc.apps.cli.live import Column, View
from stream_assoc.core.model.types import BANDS

if TYPE_CHECKING:
    from stream_assoc.core.model.metrics import AssociationMetrics
    from stream_assoc.tools.subscription.records import DiaObjectUpdate, ForcedSource

FORCED_FLUXES = ("psfFlux", "scienceFlux")


def describe_metrics(record: Mapping[str, Any]) -> str:
    """Return the metrics of a batch as one line for people."""
    milliseconds = 1000 * sum(record["stageSeconds"].values())
    return (
        f"visit {record['visit']} detector {record['detector']} {record['band']}: "
        f"{record['numDiaSources']} sources, {record['numAssociatedDiaSources']} associated, "
        f"{record['numAssociatedSsObjects']} solar system, {record['numNewDiaObjects']} new objects, "
        f"{record['numMarginalDiaSources']} marginal, {record['numDroppedDiaSources']} dropped, {milliseconds:.0f} ms"
        f"{_measured(record)}{_taken_back(record)}"
    )


def _measured(record: Mapping[str, Any]) -> str:
    if record["forcedPhotometryError"] is not None:
        return f"; no forced sources: {record['forcedPhotometryError']}"
    return f"; {record['numForcedSources']} forced sources" if record["numForcedSources"] else ""


def _taken_back(record: Mapping[str, Any]) -> str:
    if not record["revision"]:
        return ""
    return (
        f"; revision {record['revision']}, {record['numWithdrawnDiaSources']} sources withdrawn, "
        f"{record['numClosedDiaObjects']} objects closed"
    )


def metrics_cells(metrics: "AssociationMetrics") -> list[str]:
    """Return the metrics of a batch as cells of a table."""
    from stream_assoc.core.model.times import utc_of

    fraction = metrics.fracUpdatedDiaObjects
    rms = metrics.rmsSeparation
    return [
        str(metrics.visit),
        str(metrics.detector),
        metrics.band,
        f"{utc_of(metrics.midpointMjdTai):%m-%d %H:%M:%S}",
        f"{metrics.numDiaSources:,}",
        f"{metrics.numAssociatedDiaSources:,}",
        f"{metrics.numAssociatedSsObjects:,}",
        f"{metrics.numNewDiaObjects:,}",
        "-" if fraction is None else f"{fraction:.0%}",
        f"{metrics.numAmbiguousDiaSources:,}",
        "-" if rms is None else f"{rms * 1000:.0f} mas",
        f"{1000 * sum(metrics.stageSeconds.values()):.0f} ms",
    ]


def describe_object(record: Mapping[str, Any]) -> str:
    """Return an object as one line for people: where it is, how often seen, how bright."""
    fluxes = [f"{band} {flux} nJy" for band, flux in _fluxes(record).items()]
    place = f"{record['ra']:.6f} {record['dec']:+.6f}"
    return "  ".join([f"{record['diaObjectId']}  {place}  {record['nDiaSources']} sources", *fluxes])


def object_line(update: "DiaObjectUpdate") -> str:
    """Return an update as one line for people."""
    return f"{update.diaObjectId}  ended" if update.columns is None else describe_object(update.columns)


def object_columns(update: "DiaObjectUpdate") -> Mapping[str, Any]:
    """Return an update for programs: every column, and ``hasEnded`` for one that is no more."""
    return {"diaObjectId": update.diaObjectId, "hasEnded": True} if update.columns is None else update.columns


def object_cells(update: "DiaObjectUpdate") -> list[str]:
    """Return an update as cells of a table."""
    if update.columns is None:
        return [str(update.diaObjectId), "ended", *[""] * (2 + len(BANDS))]
    fluxes = _fluxes(update.columns)
    return [
        str(update.diaObjectId),
        f"{update.ra:.6f}",
        f"{update.dec:+.6f}",
        str(update.nDiaSources),
        *(fluxes.get(band, "") for band in BANDS),
    ]


def _fluxes(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the mean flux of each band there is one in, as text in nJy."""
    means = {band: record.get(f"{band}_psfFluxMean") for band in BANDS}
    return {band: f"{mean:.0f}" for band, mean in means.items() if mean is not None}


def describe_forced_source(record: Mapping[str, Any]) -> str:
    """Return a forced source as one line for people: which object, when, and how bright on either image."""
    visit = f"visit {record['visit']} detector {record['detector']} {record['band']}"
    fluxes = [f"{name} {flux} nJy" for name in FORCED_FLUXES if (flux := _flux_with_error(record, name))]
    return "  ".join([f"{record['diaObjectId']}  {visit}", *(fluxes or ["no flux"])])


def forced_source_cells(source: "ForcedSource") -> list[str]:
    """Return a forced source as cells of a table."""
    visit = [str(source[name]) for name in ("diaObjectId", "visit", "detector", "band")]
    return [*visit, *(_flux_with_error(source.columns, name) for name in FORCED_FLUXES)]


def _flux_with_error(record: Mapping[str, Any], name: str) -> str:
    flux, error = record[name], record[f"{name}Err"]
    return "" if flux is None or error is None else f"{flux:.0f} ± {error:.0f}"


METRICS_VIEW: "View[AssociationMetrics]" = View(
    title="Association metrics",
    headings=(
        *(Column("visit"), Column("detector"), Column("band", 1), Column("observed", 5), Column("sources", 1)),
        *(Column("associated", 2), Column("solar system", 7), Column("new", 2), Column("updated", 4)),
        *(Column("ambiguous", 6), Column("rms", 3), Column("took", 3)),
    ),
    cells=metrics_cells,
    line=lambda metrics: describe_metrics(asdict(metrics)),
    columns=asdict,
)
OBJECTS_VIEW: "View[DiaObjectUpdate]" = View(
    title="Updated DIAObjects (fluxes: psfFluxMean, nJy)",
    headings=(
        *(Column("diaObjectId"), Column("ra", 1), Column("dec", 1), Column("sources", 1)),
        *(Column(band, 2) for band in BANDS),
    ),
    cells=object_cells,
    line=object_line,
    columns=object_columns,
)
FORCED_VIEW: "View[ForcedSource]" = View(
    title="Forced sources (nJy)",
    headings=(
        *(Column("diaObjectId"), Column("visit"), Column("detector", 2), Column("band", 1)),
        *(Column(name, 1) for name in FORCED_FLUXES),
    ),
    cells=forced_source_cells,
    line=lambda source: describe_forced_source(source.columns),
    columns=lambda source: source.columns,
)
