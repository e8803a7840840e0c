"""``stream-assoc replay``: send recorded batches to the input topic."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stream_assoc.cli.exceptions import CommandError
from stream_assoc.cli.options import ConfigOption, SetOption, settings_of, without_client_logs
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.replay.messages import TimedMessage
    from stream_assoc.replay.pacing import Due
    from stream_assoc.replay.runner import ReplayReport
    from stream_assoc.stream.batch_encoder import BatchEncoder

MEBIBYTE = 1024**2


def replay(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    file: Annotated[
        Path, typer.Argument(help="A capture, an Avro file of batches, or a Parquet table of detections.")
    ],
    mapping: Annotated[
        str | None,
        typer.Option(help="What a table's columns mean: rubin, rubin_alert, decam, ztf, or a TOML file."),
    ] = None,
    order: Annotated[
        Literal["midpoint", "arrival"],
        typer.Option(help="Order of a table's batches: as observed, or as processed. Other files keep theirs."),
    ] = "midpoint",
    speed: Annotated[
        float | None, typer.Option(help="Send as far apart as observed, that many times faster. Default: at once.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Send that many messages a second.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Send only the first ones.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Send in a random order.")] = False,
    duplicate: Annotated[
        float, typer.Option(min=0.0, help="Expected number of copies of each message; 0.1 repeats every tenth.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the order and of the copies.")] = 0,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Send recorded batches to kafka.input_topic, and account for each of them.

    A capture is sent byte for byte. A table's batches are encoded here, under
    the id a configured Schema Registry gives their schema.
    """
    from stream_assoc.replay.messages import BatchMessages
    from stream_assoc.replay.plan import duplicated, limited, shuffled
    from stream_assoc.replay.readers import read_messages
    from stream_assoc.transform.mapping import load_mapping

    kafka = without_client_logs(settings_of(config, set_).kafka)
    columns = None if mapping is None else load_mapping(mapping)
    events = read_messages(file, BatchMessages(kafka.input_topic, batch_encoder(kafka)), columns, order)
    if limit is not None:
        events = limited(events, limit)
    if shuffle:
        events = shuffled(events, seed)
    if duplicate:
        events = duplicated(events, duplicate, seed)
    report = send(paced(events, speed, rate), kafka)
    if not report.succeeded:
        raise CommandError(
            f"{len(report.failures)} of {report.n_sent} messages not confirmed by {kafka.input_topic}: "
            f"{report.failures[0].reason}"
        )
    typer.echo(
        f"{report.n_sent} messages, {report.n_bytes / MEBIBYTE:.1f} MiB, in {report.seconds:.1f} s to "
        f"{kafka.input_topic}: all confirmed, {report.greatest_delay_seconds:.1f} s late at most."
    )


def batch_encoder(kafka: KafkaSettings) -> "BatchEncoder":
    """Return the encoder of a table's batches; with a Schema Registry, register their schema there first."""
    from stream_assoc.stream.batch_encoder import BatchEncoder
    from stream_assoc.stream.registry import registry_of
    from stream_assoc.stream.schemas import BATCH, load_schema

    registry = registry_of(kafka)
    if registry is None:
        return BatchEncoder()
    return BatchEncoder(registry.register(f"{kafka.input_topic}-value", load_schema(BATCH)))


def paced(events: "Iterator[TimedMessage]", speed: float | None, rate: float | None) -> "Iterator[Due]":
    """Return when each message is due, by at most one of ``speed`` and ``rate``."""
    from stream_assoc.replay.pacing import at_once, at_rate, at_speed

    if speed is not None and rate is not None:
        raise typer.BadParameter("give --speed or --rate, not both")
    if speed is not None:
        return at_speed(events, speed)
    return at_once(events) if rate is None else at_rate(events, rate)


def send(plan: "Iterator[Due]", kafka: KafkaSettings) -> "ReplayReport":
    """Send a plan under a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from stream_assoc.replay.runner import replay as run
    from stream_assoc.stream.kafka_plain_producer import PlainProducer

    producer = PlainProducer(kafka.producer_options(), max_message_bytes=kafka.max_message_bytes)
    # How many there will be is only known at the end of the file, so the bar counts and does not fill.
    columns = (SpinnerColumn(), TextColumn("{task.completed:.0f} messages"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("")
            return run(plan, producer, lambda n_sent: progress.update(task, completed=n_sent))
    finally:
        producer.close()
