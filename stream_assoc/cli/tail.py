"""``stream-assoc metrics tail``, ``objects tail`` and ``forced-sources tail``: watch the output topics."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from stream_assoc.cli.options import ConfigOption, SetOption, settings_of, without_client_logs
from stream_assoc.cli.topic_reader import read_topic
from stream_assoc.model.types import BANDS
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.stream.wire import WriterSchemas

metrics_app = typer.Typer(help="Watch the association metrics.", no_args_is_help=True)
objects_app = typer.Typer(help="Watch the updated DIAObjects.", no_args_is_help=True)
forced_sources_app = typer.Typer(help="Watch the forced sources.", no_args_is_help=True)

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print each message as one line of JSON.")]
BeginningOption: TypeAlias = Annotated[
    bool, typer.Option("--from-beginning", help="Start with the oldest message kept rather than the next one.")
]
LimitOption: TypeAlias = Annotated[
    int | None, typer.Option("--limit", "-n", min=1, help="Stop after that many messages.", show_default=False)
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


@metrics_app.command("tail")
def tail_metrics(
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    limit: LimitOption = None,
) -> None:
    """Print the metrics of each batch as it is published; Ctrl-C ends it."""
    from stream_assoc.stream.subscriber import decode_metrics

    kafka = without_client_logs(settings_of(config, set_).kafka)
    schemas = writer_schemas(kafka)
    for value in itertools.islice(read_topic(kafka, kafka.metrics_topic, from_beginning=from_beginning), limit):
        record = asdict(decode_metrics(value, schemas))
        typer.echo(json.dumps(record) if json_ else describe_metrics(record))


@objects_app.command("tail")
def tail_objects(
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    limit: LimitOption = None,
) -> None:
    """Print each DIAObject as it is updated; Ctrl-C ends it."""
    from stream_assoc.stream.subscriber import decode_objects

    kafka = without_client_logs(settings_of(config, set_).kafka)
    schemas = writer_schemas(kafka)
    for value in itertools.islice(read_topic(kafka, kafka.objects_topic, from_beginning=from_beginning), limit):
        (record,) = decode_objects([value], schemas).to_pylist()
        typer.echo(json.dumps(record) if json_ else describe_object(record))


@forced_sources_app.command("tail")
def tail_forced_sources(
    config: ConfigOption = None,
    set_: SetOption = None,
    json_: JsonOption = False,
    from_beginning: BeginningOption = False,
    limit: LimitOption = None,
) -> None:
    """Print each flux that is measured on an image; Ctrl-C ends it."""
    from stream_assoc.stream.subscriber import decode_forced_sources

    kafka = without_client_logs(settings_of(config, set_).kafka)
    schemas = writer_schemas(kafka)
    values = read_topic(kafka, kafka.forced_sources_topic, from_beginning=from_beginning)
    for value in itertools.islice(values, limit):
        (record,) = decode_forced_sources([value], schemas).to_pylist()
        typer.echo(json.dumps(record) if json_ else describe_forced_source(record))


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


def describe_object(record: Mapping[str, Any]) -> str:
    """Return an object as one line for people: where it is, how often seen, how bright."""
    fluxes = [
        f"{band} {record[f'{band}_psfFluxMean']:.0f} nJy"
        for band in BANDS
        if record.get(f"{band}_psfFluxMean") is not None
    ]
    place = f"{record['ra']:.6f} {record['dec']:+.6f}"
    return "  ".join([f"{record['diaObjectId']}  {place}  {record['nDiaSources']} sources", *fluxes])


def describe_forced_source(record: Mapping[str, Any]) -> str:
    """Return a forced source as one line for people: which object, when, and how bright on either image."""
    fluxes = [
        f"{name} {record[name]:.0f} ± {record[f'{name}Err']:.0f} nJy"
        for name in ("psfFlux", "scienceFlux")
        if record[name] is not None and record[f"{name}Err"] is not None
    ]
    visit = f"visit {record['visit']} detector {record['detector']} {record['band']}"
    return "  ".join([f"{record['diaObjectId']}  {visit}", *(fluxes or ["no flux"])])
