"""``stream-assoc dlq``: the messages that could not be processed, and what becomes of them."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from stream_assoc.apps.cli.app import App, ConfigOption, SetOption, closing, settings_of, without_client_logs
from stream_assoc.apps.cli.tail import writer_schemas
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.core.model.messages import OutputMessage
    from stream_assoc.tools.dead_letters.filed import Address, FiledDeadLetter, Selection
    from stream_assoc.tools.dead_letters.topic import DeadLetterTopic

app = App(help="The messages that could not be processed: find, inspect, send back.", no_args_is_help=True)

ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Only dead letters of this reason, such as quarantine.", show_default=False)
]
SinceOption: TypeAlias = Annotated[
    datetime | None, typer.Option(help="Only dead letters set aside since then, UTC.", show_default=False)
]
ADDRESS = "PARTITION:OFFSET"


@app.callback()
def _group() -> None:
    """Find, inspect and send back the messages that could not be processed."""


@app.command(
    "ls",
    epilog=closing("stream-assoc dlq ls -n 20", "stream-assoc dlq ls --reason quarantine --since 2026-11-01 --json"),
)
def list_letters(
    reason: ReasonOption = None,
    since: SinceOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Only the latest ones.", show_default=False)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print each letter as one line of JSON.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """List the dead letters, the oldest first: where, when, why, and when it was sent again.

    Needs Kafka. The first column is what the other commands take. What each
    reason means, and what to do about it: docs/dead-letters.md.
    """
    from stream_assoc.apps.cli.dead_letters import dead_letter_table
    from stream_assoc.tools.dead_letters.topic import DeadLetterTopic

    kafka = without_client_logs(settings_of(config, set_).kafka)
    # Of each letter only its record is kept: the originals together may not fit into memory.
    with DeadLetterTopic(kafka) as topic:
        sent_again: dict[Address, int] = {}
        chosen = matching(topic, selection(reason, since), sent_again.__setitem__)
        entries = [(one.address, one.letter.record) for one in chosen]
    entries.sort(key=lambda entry: (entry[1].time, entry[0]))
    entries = entries if limit is None else entries[-limit:]
    lines = (
        (
            json.dumps({"letter": str(address), **asdict(record), "sentAgain": sent_again.get(address)})
            for address, record in entries
        )
        if json_
        else dead_letter_table([(address, record, sent_again.get(address)) for address, record in entries])
    )
    for line in lines:
        typer.echo(line)


@app.command(epilog=closing("stream-assoc dlq show 0:17", "stream-assoc dlq show 0:17 --raw batch.avro"))
def show(
    address: Annotated[str, typer.Argument(metavar=ADDRESS, help="The letter, as `dlq ls` tells it.")],
    raw: Annotated[
        Path | None,
        typer.Option(help="Also write the original value, byte for byte, to this file.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Print all that is known of one letter, and the header of its batch where that can be read."""
    from stream_assoc.apps.cli.dead_letters import described
    from stream_assoc.tools.dead_letters.topic import DeadLetterTopic

    kafka = without_client_logs(settings_of(config, set_).kafka)
    with DeadLetterTopic(kafka) as topic:
        found = topic.letter(*addresses([address]))
    for line in described(found, writer_schemas(kafka)):
        typer.echo(line)
    if raw is not None:
        raw.write_bytes(found.letter.original.value or b"")


@app.command(
    epilog=closing(
        "stream-assoc dlq replay 0:17 1:4",
        "stream-assoc dlq replay --reason unknown_schema",
        "stream-assoc dlq replay --as-reprocessing 0:17",
    )
)
def replay(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    letters: Annotated[
        list[str] | None, typer.Argument(metavar=ADDRESS, help="The dead letters.", show_default=False)
    ] = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="Another topic than the one they were read from.", show_default=False),
    ] = None,
    as_reprocessing: Annotated[
        bool,
        typer.Option(
            "--as-reprocessing",
            help="Mark and sign them, so that each replaces the batch it conflicts with. Only for such dead letters.",
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Send messages back as they were, once what was wrong with them has been put right.

    Name dead letters, or choose those of a reason or since a time; of equal
    messages so chosen one is sent. The dead letters stay where they are. Sending
    one again is harmless: a batch that has counted does not count twice.
    A batch that conflicts with an earlier one of its visit and detector takes
    its place with --as-reprocessing, which is signed with operators.secret.
    """
    from stream_assoc.messaging.authority import authority_of
    from stream_assoc.messaging.exceptions import UnauthorisedError
    from stream_assoc.pipeline.exceptions import CONFLICT
    from stream_assoc.tools.dead_letters.filed import without_repeats
    from stream_assoc.tools.dead_letters.sending import reprocessing, returned
    from stream_assoc.tools.dead_letters.topic import DeadLetterTopic

    by_rule = reason is not None or since is not None
    if bool(letters) == by_rule:
        raise typer.BadParameter(f"name dead letters as {ADDRESS}, or choose them by --reason or --since")
    reasons = (CONFLICT, UnauthorisedError.reason)
    if as_reprocessing and by_rule and reason not in reasons:
        raise typer.BadParameter(
            f"--as-reprocessing goes with named dead letters, or with --reason {' or '.join(reasons)}"
        )
    settings = settings_of(config, set_)
    kafka = without_client_logs(settings.kafka)
    prepare = partial(returned, topic=to)
    if as_reprocessing:
        prepare = partial(reprocessing, authority=authority_of(settings.operators), topic=to)
    with DeadLetterTopic(kafka) as topic:
        if by_rule:
            chosen = without_repeats(matching(topic, selection(reason, since)))
            send(((one.address, prepare(one)) for one in chosen), kafka)
        else:
            send(named(topic, addresses(letters or []), prepare), kafka)


@app.command(epilog=closing("stream-assoc dlq release 0:17"))
def release(
    letters: Annotated[list[str], typer.Argument(metavar=ADDRESS, help="Quarantined dead letters.")],
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Send quarantined batches back, to be processed however many objects they create.

    Look at the images first: the limit (new_objects.max_new_dia_objects) is
    there to keep the objects of a bad subtraction out. The message is signed
    with operators.secret.
    """
    from stream_assoc.messaging.authority import authority_of
    from stream_assoc.tools.dead_letters.sending import released
    from stream_assoc.tools.dead_letters.topic import DeadLetterTopic

    settings = settings_of(config, set_)
    kafka = without_client_logs(settings.kafka)
    prepare = partial(released, authority=authority_of(settings.operators))
    with DeadLetterTopic(kafka) as topic:
        send(named(topic, addresses(letters), prepare), kafka)


def addresses(texts: Iterable[str]) -> "list[Address]":
    """Return the addresses that arguments name, each once."""
    from stream_assoc.tools.dead_letters.filed import Address

    try:
        return list(dict.fromkeys(Address.parse(text) for text in texts))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def selection(reason: str | None, since: datetime | None) -> "Selection":
    """Return the selection that options name; their times are UTC."""
    from stream_assoc.tools.dead_letters.filed import Selection

    return Selection(reason, None if since is None else round(since.replace(tzinfo=UTC).timestamp() * 1000))


def named(
    topic: "DeadLetterTopic", where: "Sequence[Address]", prepare: "Callable[[FiledDeadLetter], OutputMessage]"
) -> "Iterator[tuple[Address, OutputMessage]]":
    """Return what to send for the dead letters at these addresses; report one that cannot be sent before sending."""
    for address in where:
        prepare(topic.letter(address))
    # Read again rather than kept: the originals together may not fit into memory.
    return ((address, prepare(topic.letter(address))) for address in where)


def matching(
    topic: "DeadLetterTopic",
    which: "Selection",
    on_sent_again: "Callable[[Address, int], None]" = lambda address, time_ms: None,
) -> "Iterator[FiledDeadLetter]":
    """Yield the letters of a selection; messages that are no dead letters are told and passed over.

    Notes of dead letters that were sent again, and when, are given to ``on_sent_again``.
    """
    from stream_assoc.apps.cli.dead_letters import printable
    from stream_assoc.messaging.avro.dead_letters import is_note
    from stream_assoc.messaging.exceptions import DecodeError
    from stream_assoc.tools.dead_letters.filed import Address, filed
    from stream_assoc.tools.dead_letters.sent_again import read_note

    for message in topic.messages():
        if is_note(message.headers):
            if (note := read_note(message)) is not None:
                on_sent_again(*note)
            continue
        try:
            found = filed(message)
        except DecodeError as error:
            address = Address.of(message.position)
            typer.secho(f"{address} passed over: {printable(str(error))}", fg=typer.colors.YELLOW, err=True)
            continue
        if which.holds(found):
            yield found


def send(messages: "Iterable[tuple[Address, OutputMessage]]", kafka: KafkaSettings) -> None:
    """Send the messages of dead letters; report how many were confirmed, even if an error or Ctrl-C ends it early."""
    from stream_assoc.messaging.kafka.plain_producer import PlainProducer
    from stream_assoc.tools.dead_letters.sending import deliver
    from stream_assoc.tools.dead_letters.sent_again import note_of

    def note(address: "Address") -> "OutputMessage":
        return note_of(address, kafka.dead_letter_topic, time.time_ns() // 1_000_000)

    n_sent = 0
    producer = PlainProducer(kafka.producer_options(), max_message_bytes=kafka.max_message_bytes)
    with contextlib.closing(producer):
        try:
            for _ in deliver(messages, producer, note):
                n_sent += 1
        finally:
            typer.echo(f"{n_sent} sent back, each confirmed.")
