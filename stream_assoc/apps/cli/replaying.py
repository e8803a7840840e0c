"""Carrying a replay out under a progress bar, and telling what became of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stream_assoc.apps.cli.announce import Ahead, unannounced
from stream_assoc.apps.cli.app import CommandError
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.apps.cli.sending import made_producers, messages_to, tell_table
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.tools.replay.alerts.sources import AlertTopic
    from stream_assoc.tools.replay.manifest import Manifest, PlanTotals
    from stream_assoc.tools.replay.options import ReplayOptions
    from stream_assoc.tools.replay.runner import ReplayReport

MEBIBYTE = 1024**2


def begin_recorded(  # noqa: PLR0913, PLR0917 - what is sent, and how
    options: "ReplayOptions",
    file: Path,
    topic: str,
    kafka: KafkaSettings,
    n_producers: int,
    folder: Path,
    ahead: Ahead,
) -> None:
    """Begin a recorded replay, and carry it out."""
    from stream_assoc.tools.replay.recording import begin
    from stream_assoc.tools.replay.topics import KafkaTarget

    manifest = begin(folder, file, options, topic, KafkaTarget(kafka, topic), n_producers=n_producers)
    carry_out_recorded(manifest, folder, kafka, ahead)


def carry_out_recorded(
    manifest: "Manifest",
    folder: Path,
    kafka: KafkaSettings,
    ahead: Ahead = unannounced,
    *,
    resend_doubtful: bool = False,
) -> None:
    """Send what is left of a recorded replay, and tell what became of it."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.journal import Journal
    from stream_assoc.tools.replay.recording import carry_out, outlook
    from stream_assoc.tools.replay.topics import KafkaTarget

    with Journal(folder) as journal:
        left = outlook(manifest, journal, KafkaTarget(kafka, manifest.topic), resend_doubtful=resend_doubtful)
        if left.n_done or left.arrived:
            told = f"Going on after {left.n_done:,} steps; {len(left.arrived):,} later ones are on the topic already."
            typer.echo(told, err=True)
        if left.repeated:
            first, last = left.repeated[0], left.repeated[-1]
            typer.echo(f"Steps {first} to {last} may be sent for the second time.", err=True)
        steps = manifest.options.steps(
            manifest.source.path, messages_to(manifest.topic, kafka), registry_of(kafka), tell_table
        )
        with made_producers(kafka, manifest.n_producers) as producers, Progress().count("messages") as progress:
            manifest, report = carry_out(
                *(manifest, folder, journal, steps, producers, left),
                progress=progress,
                announcing=ahead,
            )
    tell_sent(report, manifest.topic, f"`stream-assoc replay resume {folder}` tries again")
    if manifest.totals is not None:
        typer.echo(f"{described(manifest.totals)}\nrun {manifest.run}: {folder}")


def send(
    options: "ReplayOptions",
    source: "Path | AlertTopic",
    topic: str,
    kafka: KafkaSettings,
    n_producers: int,
    ahead: Ahead,
) -> "ReplayReport":
    """Send a file byte for byte, without a record, under a progress bar."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.runner import Observer, Replayer

    plan = options.paced(options.steps(source, messages_to(topic, kafka), registry_of(kafka), tell_table))
    with made_producers(kafka, n_producers) as producers, Progress().count("messages") as progress:

        class Counter(Observer):
            def after(self, n_steps: int) -> None:
                progress(n_steps)

        return Replayer(producers, Counter()).run(ahead(plan))


def tell_plan(options: "ReplayOptions", source: "Path | AlertTopic", topic: str, kafka: KafkaSettings) -> None:
    """Tell what a replay would send, and how long it would take."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.manifest import Tally

    tally, seconds = Tally(), 0.0
    steps = options.steps(source, messages_to(topic, kafka, register=False), registry_of(kafka), tell_table)
    with Progress().count("messages") as progress:
        for number, due in enumerate(options.paced(steps), 1):
            tally.add(due.step)
            seconds = due.seconds
            progress(number)
    pace = f"over {seconds:,.1f} s" if options.speed or options.rate else "as fast as it goes"
    typer.echo(f"Nothing was sent. To {topic}, {pace}:\n{described(tally.totals())}")


def described(totals: "PlanTotals") -> str:
    """Return the totals of a plan for people."""
    return (
        f"{totals.n_sent:,} messages of {totals.n_bytes / MEBIBYTE:.1f} MiB: {totals.n_copies:,} copies, "
        f"{totals.n_late:,} late, {totals.n_damaged:,} spoilt; {totals.n_dropped:,} dropped; "
        f"checksum {totals.checksum[:16]}"
    )


def tell_sent(report: "ReplayReport", topic: str, remedy: str = "") -> None:
    """Tell what was sent, or raise `CommandError` that tells what was not confirmed."""
    if not report.succeeded:
        raise CommandError(
            f"{len(report.failures)} of {report.n_sent} messages not confirmed by {topic}: "
            f"{report.failures[0].reason}" + (f"; {remedy}" if remedy else "")
        )
    typer.echo(
        f"{report.n_sent} messages, {report.n_bytes / MEBIBYTE:.1f} MiB, in {report.seconds:.1f} s to "
        f"{topic}: all confirmed, {report.greatest_delay_seconds:.1f} s late at most."
    )
