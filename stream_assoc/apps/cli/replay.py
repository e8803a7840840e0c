"""``stream-assoc replay``: send recorded batches, go on after a kill, and capture topics."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stream_assoc.apps.cli.announce import AnnounceOption, announced
from stream_assoc.apps.cli.app import (
    App,
    CommandError,
    ConfigOption,
    Group,
    SetOption,
    closing,
    settings_of,
    without_client_logs,
)
from stream_assoc.apps.cli.judge import diff, verify
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.apps.cli.replaying import (
    MEBIBYTE,
    begin_recorded,
    carry_out_recorded,
    send,
    tell_plan,
    tell_sent,
)
from stream_assoc.apps.cli.sending import MappingOption, OrderOption
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.tools.replay.alerts.sources import AlertTopic

RUN = "run"


class RunByDefault(Group):
    """``replay FILE`` is ``replay run FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own class, not public
        """Put the name of the command that is meant before arguments that begin with none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [RUN, *args]
        return super().parse_args(ctx, args)


app = App(cls=RunByDefault, no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of a recorded replay (`replay run --record FOLDER`).")]
ProducersOption = Annotated[
    int,
    typer.Option(min=1, max=64, help="Producers that send at the same time; messages of one key share one."),
]


@app.callback()
def _group() -> None:
    """Send recorded batches again, and judge what came of it. `replay FILE` is short for `replay run FILE`.

    A night through a daemon, judged:

        stream-assoc simulate night

        stream-assoc replay run night/batches.avro --speed 10 --record run1

        stream-assoc replay verify run1
    """


@app.command(
    RUN,
    epilog=closing(
        "stream-assoc replay run night/batches.avro --speed 10",
        "stream-assoc replay run night/batches.avro --record run/ --late 0.01 --corrupt 0.001",
        "stream-assoc replay run detections.parquet --mapping ztf --dry-run",
        "stream-assoc replay run alerts/ --history --skip-bad",
        "stream-assoc replay run --from-topic lsst-alerts-v11.0 --since 12h",
    ),
)
def run(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A capture, an Avro file of batches, a Parquet table of detections, alert packets or a folder.",
            show_default=False,
        ),
    ] = None,
    from_topic: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC",
            help="Instead of a file: the alert packets that are on a topic now.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="With --from-topic: only what was published since then, as of `replay capture`.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Of alerts send the earlier sources that packets repeat too, each once."),
    ] = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Go on after an alert packet that cannot be read; each is named at the start."
        ),
    ] = False,
    mapping: MappingOption = None,
    order: OrderOption = "midpoint",
    speed: Annotated[
        float | None,
        typer.Option(help="Keep the observed intervals, sped up by this factor; 1 is real time."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Send this many messages a second. Without --speed and --rate: at once.")
    ] = None,
    burst: Annotated[
        int, typer.Option(min=1, help="Send messages in bursts of this size, at the same average rate.")
    ] = 1,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Send only the first ones.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Send in a random order.")] = False,
    duplicate: Annotated[
        float, typer.Option(min=0.0, help="Expected number of copies of each message; 0.1 repeats every tenth.")
    ] = 0.0,
    drop: Annotated[float, typer.Option(min=0.0, max=1.0, help="Fraction of the messages left out.")] = 0.0,
    late: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Fraction of the messages held back, so that others overtake them."),
    ] = 0.0,
    late_by: Annotated[
        float, typer.Option(min=0.001, help="Longest delay of a late message, seconds of observing time.")
    ] = 600.0,
    corrupt: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Fraction of the messages spoilt, so that none can be decoded.")
    ] = 0.0,
    key: Annotated[
        Literal["file", "detector", "visit", "none"],
        typer.Option(
            help="What shares a partition: as in the file (a piece of sky); a visit and detector, so that "
            "overlapping detectors are processed in parallel; a visit; nothing."
        ),
    ] = "file",
    producers: ProducersOption = 1,
    seed: Annotated[int, typer.Option(help="The same seed makes the same choices.")] = 0,
    topic: Annotated[
        str | None, typer.Option(help="Another topic than kafka.input_topic.", show_default=False)
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep a manifest and a journal there, and stamp each message with run, step and due time: "
            "what `replay resume` and `replay verify` need. Without it messages are sent byte for byte.",
            show_default=False,
        ),
    ] = None,
    announce: AnnounceOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; tell what would be sent.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Send recorded batches to kafka.input_topic, and account for each of them.

    A capture is sent byte for byte. A table's batches are encoded here, under
    the id a configured Schema Registry gives their schema. So are alert
    packets of Rubin (schemas 7.4 to 11.1) and ZTF (3.3, 4.02), as Avro files,
    compressed or not, or in the Confluent wire format: the sources of one
    visit and detector become one batch, each diaSourceId once.

    The pace is open-loop: when each message is due is decided beforehand, so a
    slow broker or daemon shows as latency and slows nothing down. All that
    goes wrong on purpose (--drop, --late, --corrupt, --duplicate, --shuffle)
    is decided by --seed.
    """
    from stream_assoc.tools.replay.options import replay_options

    kafka = without_client_logs(settings_of(config, set_).kafka)
    options = replay_options(
        mapping=mapping, history=history, skip_bad=skip_bad,
        order=order, speed=speed, rate=rate, burst=burst, limit=limit, shuffle=shuffle,
        duplicate=duplicate, drop=drop, late=late, late_by_seconds=late_by, corrupt=corrupt, key=key, seed=seed,
    )  # fmt: skip
    destination = topic or kafka.input_topic
    if announce is not None and speed is None and rate is None:
        raise typer.BadParameter("--announce needs --speed or --rate: without a pace everything is due at once")
    source = source_of(file, from_topic, since, kafka)
    if dry_run:
        tell_plan(options, source, destination, kafka)
        return
    with announced(kafka, announce) as ahead:
        if record is None:
            tell_sent(send(options, source, destination, kafka, producers, ahead), destination)
        elif isinstance(source, Path):
            begin_recorded(options, source, destination, kafka, producers, record, ahead)
        else:
            raise typer.BadParameter(
                "--record needs a file, which stays as it is: capture the topic first (`replay capture`), and replay "
                "the capture with --mapping rubin_alert or ztf_alert"
            )


def source_of(file: Path | None, topic: str | None, since: str | None, kafka: KafkaSettings) -> "Path | AlertTopic":
    """Return what is replayed."""
    from stream_assoc.tools.replay.alerts.sources import AlertTopic
    from stream_assoc.tools.subscription.since import start_of

    if (file is None) == (topic is None):
        raise typer.BadParameter("give either a file or --from-topic")
    if topic is None:
        if since is not None:
            raise typer.BadParameter("--since needs --from-topic")
        return file or Path()
    return AlertTopic(kafka, topic, start_of("beginning" if since is None else since))


@app.command(epilog=closing("stream-assoc replay resume run/"))
def resume(
    folder: FolderArgument,
    resend_doubtful: Annotated[
        bool,
        typer.Option(
            "--resend-doubtful",
            help="Do not look on the topic for what may have arrived before the kill, but send it again.",
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Go on with a recorded replay that was killed, sending no message twice.

    What was being sent at the moment of the kill is looked for on the topic,
    and what is there is not sent again. The pace goes on from here.
    """
    from stream_assoc.tools.replay.manifest import Manifest

    kafka = without_client_logs(settings_of(config, set_).kafka)
    manifest = Manifest.read(folder)
    if manifest.totals is not None:
        typer.echo(f"All {manifest.totals.n_sent:,} messages of {folder} were sent; nothing is left.")
        return
    manifest.source.check()
    carry_out_recorded(manifest, folder, kafka, resend_doubtful=resend_doubtful)


@app.command(epilog=closing("stream-assoc replay capture association-metrics night.capture --since 12h"))
def capture(
    topic: Annotated[str, typer.Argument(help="Any topic: its messages are kept as they are.")],
    file: Annotated[Path, typer.Argument(help="Capture file to write; `replay run` sends it back byte for byte.")],
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only what was published since then: a duration (2h), an ISO time in UTC, an MJD TAI.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write what is on a topic now into a capture file: keys, values, headers and order.

    The partitions are merged by the time of publication. Reads outside of any
    consumer group and sees committed messages only.
    """
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.topics import capture_topic
    from stream_assoc.tools.subscription.since import start_of

    if file.exists() and not force:
        raise CommandError(f"{file} exists; name another file, or overwrite it with --force")
    kafka = without_client_logs(settings_of(config, set_).kafka)
    start = start_of("beginning" if since is None else since)
    with Progress().count("messages") as progress:
        n_messages = capture_topic(kafka, topic, file, start, schemas=registry_of(kafka), progress=progress)
    typer.echo(f"{n_messages:,} messages of {topic}: {file}, {file.stat().st_size / MEBIBYTE:.1f} MiB.")


app.command(
    "verify",
    epilog=closing("stream-assoc replay verify run/ --wait 60", "stream-assoc replay verify run/ --min-purity 0.99"),
)(verify)
app.command(
    "diff",
    epilog=closing("stream-assoc replay diff sqlite:///one.sqlite3 sqlite:///other.sqlite3"),
)(diff)
