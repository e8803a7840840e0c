"""``stream-assoc metrics tail``, ``objects tail`` and ``forced-sources tail``: watch the output topics."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from stream_assoc.cli.live import View
from stream_assoc.cli.options import ConfigOption, SetOption, closing, settings_of, without_client_logs
from stream_assoc.model.types import BANDS
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.metrics.record import AssociationMetrics
    from stream_assoc.model.times import DayObs
    from stream_assoc.stream.wire import WriterSchemas
    from stream_assoc.subscription.records import DiaObjectUpdate, ForcedSource

Record = TypeVar("Record")

FORCED_FLUXES = ("psfFlux", "scienceFlux")

metrics_app = typer.Typer(help="Watch the association metrics.", no_args_is_help=True)
objects_app = typer.Typer(help="Watch the updated DIAObjects.", no_args_is_help=True)
forced_sources_app = typer.Typer(help="Watch the forced sources.", no_args_is_help=True)

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print each message as one line of JSON.")]
BeginningOption: TypeAlias = Annotated[
    bool, typer.Option("--from-beginning", help="Start with the oldest message kept rather than the next one.")
]
SinceOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Start with what was published since then: a duration (30m, 2h, 1.5d), an ISO time in UTC, an MJD TAI.",
        show_default=False,
    ),
]
LimitOption: TypeAlias = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, help="Stop after that many messages.", show_default=False)
]
UntilEndOption: TypeAlias = Annotated[
    bool, typer.Option("--until-end", help="Stop when all that is there now has been printed.")
]
VisitOption: TypeAlias = Annotated[
    list[int] | None, typer.Option(help="Only this visit; may be repeated.", show_default=False)
]
DetectorOption: TypeAlias = Annotated[
    list[int] | None, typer.Option(help="Only this detector; may be repeated.", show_default=False)
]
ObjectOption: TypeAlias = Annotated[
    list[int] | None,
    typer.Option("--object", metavar="DIAOBJECTID", help="Only this object; may be repeated.", show_default=False),
]
BandOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--band", help="Only this band; may be repeated.", show_default=False)
]


@metrics_app.callback()
def _metrics_group() -> None:
    """Watch the association metrics."""


@objects_app.callback()
def _objects_group() -> None:
    """Watch the updated DIAObjects."""


@forced_sources_app.callback()
def _forced_sources_group() -> None:
    """Watch the forced sources."""


@metrics_app.command(
    "tail",
    epilog=closing(
        "stream-assoc metrics tail --since 2h",
        "stream-assoc metrics tail --night 20260101 --from-beginning --until-end --json",
    ),
)
def tail_metrics(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    since: SinceOption = None,
    visit: VisitOption = None,
    detector: DetectorOption = None,
    band: BandOption = None,
    night: Annotated[
        str | None,
        typer.Option(
            metavar="NIGHT", help="Only visits observed in this night: YYYYMMDD at UTC-12h.", show_default=False
        ),
    ] = None,
    limit: LimitOption = None,
    until_end: UntilEndOption = False,
) -> None:
    """Show the metrics of each batch as it is published; Ctrl-C ends it.

    On a terminal a table that follows, elsewhere a line a batch; --json for
    programs. Reads outside of any consumer group: it takes no message from
    anyone. Filters choose; --limit counts what they let through.
    """
    from stream_assoc.subscription.selection import MetricsSelection
    from stream_assoc.subscription.subscribe import METRICS

    chosen = MetricsSelection(
        frozenset(visit or ()),
        frozenset(detector or ()),
        frozenset(band or ()),
        None if night is None else dated(night),
    )
    kafka = without_client_logs(settings_of(config, set_).kafka)
    start = first(from_beginning, since)
    METRICS_VIEW.show(subscribed(kafka, METRICS, start, until_end, chosen.holds, limit), as_json=json_)


@objects_app.command(
    "tail",
    epilog=closing(
        "stream-assoc objects tail --cone 150.0 2.2 0.1",
        "stream-assoc objects tail --object 8493972271935848478 --json",
    ),
)
def tail_objects(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    since: SinceOption = None,
    object_: Annotated[
        list[int] | None,
        typer.Option(
            "--object", metavar="DIAOBJECTID", help="Only this object; may be repeated.", show_default=False
        ),
    ] = None,
    cone: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="RA DEC RADIUS", help="Only within this circle, degrees.", show_default=False),
    ] = None,
    band: BandOption = None,
    limit: LimitOption = None,
    until_end: UntilEndOption = False,
) -> None:
    """Show each DIAObject as it is updated; Ctrl-C ends it.

    On a terminal a table that follows, elsewhere a line an object; --json for
    programs, with every column. An object that a re-processing has ended is
    shown as ended.
    """
    from stream_assoc.subscription.selection import Cone, ObjectSelection
    from stream_assoc.subscription.subscribe import OBJECTS

    chosen = ObjectSelection(frozenset(object_ or ()), None if cone is None else Cone(*cone), frozenset(band or ()))
    kafka = without_client_logs(settings_of(config, set_).kafka)
    start = first(from_beginning, since)
    OBJECTS_VIEW.show(subscribed(kafka, OBJECTS, start, until_end, chosen.holds, limit), as_json=json_)


@forced_sources_app.command(
    "tail",
    epilog=closing(
        "stream-assoc forced-sources tail --since 2h",
        "stream-assoc forced-sources tail --band r --json",
    ),
)
def tail_forced_sources(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    since: SinceOption = None,
    object_: ObjectOption = None,
    visit: VisitOption = None,
    detector: DetectorOption = None,
    band: BandOption = None,
    limit: LimitOption = None,
    until_end: UntilEndOption = False,
) -> None:
    """Show each flux that is measured on an image; Ctrl-C ends it.

    On a terminal a table that follows, elsewhere a line a flux; --json for
    programs, with every column.
    """
    from stream_assoc.subscription.selection import ForcedSourceSelection
    from stream_assoc.subscription.subscribe import FORCED_SOURCES

    chosen = ForcedSourceSelection(
        frozenset(object_ or ()), frozenset(visit or ()), frozenset(detector or ()), frozenset(band or ())
    )
    kafka = without_client_logs(settings_of(config, set_).kafka)
    start = first(from_beginning, since)
    FORCED_VIEW.show(subscribed(kafka, FORCED_SOURCES, start, until_end, chosen.holds, limit), as_json=json_)


def first(from_beginning: bool, since: str | None) -> str:
    """Return where to begin, from two options of which one may be given."""
    if from_beginning and since is not None:
        raise typer.BadParameter("give --from-beginning or --since, not both")
    return "beginning" if from_beginning else since or "latest"


def dated(night: str) -> "DayObs":
    """Return the night that an option names."""
    from stream_assoc.model.times import parse_night

    try:
        return parse_night(night)
    except ValueError as error:
        raise typer.BadParameter(f"--night {error}") from None


def subscribed(
    kafka: KafkaSettings,
    topic: str,
    since: str,
    until_end: bool,
    is_wanted: Callable[[Record], bool],
    limit: int | None,
) -> Iterator[Record]:
    """Yield the wanted records of a topic; bad messages and passing trouble are told on standard error."""
    from stream_assoc.settings import Settings
    from stream_assoc.subscription.subscribe import subscribe

    with subscribe(
        topic,
        since=since,
        until_end=until_end,
        settings=Settings(kafka=kafka),
        on_bad=lambda bad: warn(str(bad)),
        on_trouble=lambda trouble: warn(f"{trouble}; still trying"),
    ) as records:
        yield from itertools.islice(filter(is_wanted, records), limit)


def warn(text: str) -> None:
    """Write a warning to standard error."""
    from stream_assoc.cli.letters import printable

    typer.secho(printable(text), fg=typer.colors.YELLOW, err=True)


def writer_schemas(kafka: KafkaSettings) -> "WriterSchemas | None":
    """Return where writer schemas are found: the registry where one is configured, else those of this version."""
    from stream_assoc.stream.registry import registry_of

    return registry_of(kafka)


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
    from stream_assoc.model.times import utc_of

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
        *("visit", "detector", "band", "observed", "sources", "associated", "solar system", "new"),
        *("updated", "ambiguous", "rms", "took"),
    ),
    cells=metrics_cells,
    line=lambda metrics: describe_metrics(asdict(metrics)),
    columns=asdict,
)
OBJECTS_VIEW: "View[DiaObjectUpdate]" = View(
    title="Updated DIAObjects (fluxes: psfFluxMean, nJy)",
    headings=("diaObjectId", "ra", "dec", "sources", *BANDS),
    cells=object_cells,
    line=object_line,
    columns=object_columns,
)
FORCED_VIEW: "View[ForcedSource]" = View(
    title="Forced sources (nJy)",
    headings=("diaObjectId", "visit", "detector", "band", *FORCED_FLUXES),
    cells=forced_source_cells,
    line=lambda source: describe_forced_source(source.columns),
    columns=lambda source: source.columns,
)
