"""``stream-assoc associate``: process the batches of a file without Kafka."""

from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import CommandError, ConfigOption, SetOption, closing, settings_of
from stream_assoc.apps.cli.sending import FileArgument, MappingOption, OrderOption, tell_table

if TYPE_CHECKING:
    from stream_assoc.core.model.metrics import AssociationMetrics

ASSOCIATE_HELP = closing(
    "stream-assoc associate night/batches.avro --set apdb.url=sqlite:///apdb.sqlite3",
    "stream-assoc associate detections.parquet --mapping ztf --history-window 360",
)


def associate(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    file: FileArgument,
    mapping: MappingOption = None,
    order: OrderOption = "midpoint",
    history_window: Annotated[
        float | None,
        typer.Option(help="Days before the midpoint that statistics look back. Default: all; upstream's: 360."),
    ] = None,
    purge_edge: Annotated[
        float,
        typer.Option(
            min=0.0, help="Arcsec: store no object nearer to the edge. Upstream's: 1.5 pixels; default: none is lost."
        ),
    ] = 0.0,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Process every batch of a file, one visit and detector after the other; publish nothing.

    Needs an APDB (`apdb init`), and neither Kafka nor Redis. A visit and
    detector that was processed before is skipped with a message. A batch that
    can never be processed is reported, and the others go on; the exit code is
    then 1.
    """
    from stream_assoc.exceptions import PoisonError
    from stream_assoc.messaging.avro.batch_decoder import decoder_of
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tasks.dia_pipeline import DiaPipelineTask
    from stream_assoc.tasks.dia_pipeline_config import DiaPipelineConfig
    from stream_assoc.tasks.exceptions import VisitProcessedError
    from stream_assoc.tools.replay.alerts.reading import AlertOptions
    from stream_assoc.tools.replay.messages import BatchMessages
    from stream_assoc.tools.replay.readers import read_messages
    from stream_assoc.tools.transform.mapping import load_mapping

    settings = settings_of(config, set_)
    columns = None if mapping is None else load_mapping(mapping)
    alerts = AlertOptions(registry=registry_of(settings.kafka))
    # Through the messages that Kafka would carry, so that a visit run here is known to a daemon that meets it later.
    events = read_messages(file, BatchMessages(settings.kafka.input_topic), columns, order, tell_table, alerts)
    decoder = decoder_of(settings)
    task_config = DiaPipelineConfig.from_settings(settings)
    task_config.history_window, task_config.purge_edge = history_window, purge_edge
    n_batches = n_refused = 0
    with DiaPipelineTask(task_config) as task:
        for event in events:
            n_batches += 1
            try:
                typer.echo(_line(task.run_batch(decoder.decode(event.message.value)).metrics))
            except VisitProcessedError as error:
                typer.echo(str(error))
            except PoisonError as error:
                n_refused += 1
                named = _named(event.message.value, str(error))
                typer.echo(f"batch {n_batches} of {file} is refused ({error.reason}): {named}", err=True)
    if n_refused:
        raise CommandError(
            f"{n_refused:,} of {n_batches:,} batches of {file} were refused, nothing of them is stored"
        )


def _named(value: bytes | None, error: str) -> str:
    """Return an error with the visit and detector it is of, where the message tells them."""
    from stream_assoc.messaging.avro.batch_header import batch_prefix
    from stream_assoc.messaging.exceptions import DecodeError

    try:
        batch = batch_prefix(value).id
    except DecodeError:
        return error
    name = f"visit {batch.visit} detector {batch.detector}"
    return error if name in error else f"{name}: {error}"


def _line(metrics: "AssociationMetrics") -> str:
    return (
        f"visit {metrics.visit} detector {metrics.detector} {metrics.band}: {metrics.numDiaSources} sources, "
        f"{metrics.numAssociatedDiaSources} associated, {metrics.numAssociatedSsObjects} of the solar system, "
        f"{metrics.numNewDiaObjects} new objects, {metrics.numMarginalDiaSources} marginal, "
        f"{metrics.numDroppedDiaSources} dropped"
    )
