"""What commands that read a file of batches share: its options, messages of its batches, producers."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
    from stream_assoc.messaging.kafka.plain_producer import PlainProducer
    from stream_assoc.tools.replay.messages import BatchMessages
    from stream_assoc.tools.transform.report import TableReport


FileArgument: TypeAlias = Annotated[
    Path,
    typer.Argument(
        help="A capture, an Avro file of batches, a Parquet table of detections, alert packets or a folder of them."
    ),
]
MappingOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="What a table's columns mean: rubin, rubin_alert, rubin_dp1, decam, ztf, ztf_alert, or a TOML file. "
        "Alert packets need none."
    ),
]
OrderOption: TypeAlias = Annotated[
    Literal["midpoint", "arrival"],
    typer.Option(help="Order of a table's batches: as observed, or as processed. Other files keep theirs."),
]


def messages_to(topic: str, kafka: KafkaSettings, *, register: bool = True) -> "BatchMessages":
    """Return how a table's batches become messages of a topic."""
    from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
    from stream_assoc.tools.replay.messages import BatchMessages

    return BatchMessages(topic, batch_encoder(topic, kafka) if register else BatchEncoder())


def batch_encoder(topic: str, kafka: KafkaSettings) -> "BatchEncoder":
    """Return the encoder of a table's batches; with a Schema Registry, register their schema there first."""
    from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.messaging.avro.schemas import BATCH, load_schema

    registry = registry_of(kafka)
    if registry is None:
        return BatchEncoder()
    return BatchEncoder(registry.register(f"{topic}-value", load_schema(BATCH)))


@contextmanager
def made_producers(kafka: KafkaSettings, n_producers: int) -> "Iterator[Sequence[PlainProducer]]":
    """Make producers, and close them at the end."""
    from stream_assoc.messaging.kafka.plain_producer import PlainProducer

    with ExitStack() as stack:
        producers = []
        for _ in range(n_producers):
            producer = PlainProducer(kafka.producer_options(), max_message_bytes=kafka.max_message_bytes)
            stack.callback(producer.close)
            producers.append(producer)
        yield producers


def tell_table(report: "TableReport") -> None:
    """Tell on standard error what became of the rows of a table."""
    lines = report.lines()
    if sys.stderr.isatty():
        # A terminal would break lines within an identifier.
        width = shutil.get_terminal_size().columns
        broken = [textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False) for line in lines]
        lines = ["\n".join(line) for line in broken]
    typer.echo("\n".join(lines), err=True)
