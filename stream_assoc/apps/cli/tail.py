"""``stream-assoc metrics tail``, ``objects tail`` and ``forced-sources tail``: watch the output topics."""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

from stream_assoc.apps.cli.app import App, ConfigOption, SetOption, closing, settings_of, without_client_logs
from stream_assoc.apps.cli.views import FORCED_VIEW, METRICS_VIEW, OBJECTS_VIEW
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.core.model.times import DayObs
    from stream_assoc.messaging.avro.wire import WriterSchemas

Record = TypeVar("Record")


metrics_app = App(help="Watch the association metrics.", no_args_is_help=True)
objects_app = App(help="Watch the updated DIAObjects.", no_args_is_help=True)
forced_sources_app = App(help="Watch the forced sources.", no_args_is_help=True)

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
        "stream-assoc metrics tail --night 20251120 --from-beginning --until-end --json",
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
    from stream_assoc.tools.subscription.selection import MetricsSelection
    from stream_assoc.tools.subscription.subscribe import METRICS

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
        "stream-assoc objects tail --object 8493935366250725501 --json",
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
    from stream_assoc.tools.subscription.selection import Cone, ObjectSelection
    from stream_assoc.tools.subscription.subscribe import OBJECTS

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
    from stream_assoc.tools.subscription.selection import ForcedSourceSelection
    from stream_assoc.tools.subscription.subscribe import FORCED_SOURCES

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
    from stream_assoc.core.model.times import parse_night

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
    from stream_assoc.tools.subscription.subscribe import subscribe

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
    from stream_assoc.apps.cli.dead_letters import printable

    typer.secho(printable(text), fg=typer.colors.YELLOW, err=True)


def writer_schemas(kafka: KafkaSettings) -> "WriterSchemas | None":
    """Return where writer schemas are found: the registry where one is configured, else those of this version."""
    from stream_assoc.messaging.avro.registry import registry_of

    return registry_of(kafka)
