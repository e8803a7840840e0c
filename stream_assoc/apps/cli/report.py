"""``stream-assoc report``: a night as one HTML file."""

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_assoc.apps.cli.app import CommandError, ConfigOption, SetOption, settings_of, without_client_logs
from stream_assoc.apps.cli.progress import Progress
from stream_assoc.apps.cli.tail import dated, warn

if TYPE_CHECKING:
    from stream_assoc.core.model.metrics import AssociationMetrics
    from stream_assoc.core.model.times import DayObs
    from stream_assoc.messaging.avro.dead_letters import DeadLetter
    from stream_assoc.settings import Settings
    from stream_assoc.tools.report.night import Night

LAST = "last"


def report(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    night: Annotated[
        str, typer.Option(metavar="NIGHT", help="YYYYMMDD at UTC-12h, or `last`: the last one there are metrics of.")
    ] = LAST,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: night-YYYYMMDD.html.", show_default=False),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(
            metavar="CAPTURE",
            help="Read metrics from a capture of their topic instead (`replay capture`).",
            show_default=False,
        ),
    ] = None,
    dead_letters: Annotated[
        Path | None,
        typer.Option(
            metavar="CAPTURE",
            help="Read dead letters from a capture of their topic. With --metrics alone they are left out.",
            show_default=False,
        ),
    ] = None,
    apdb: Annotated[
        bool, typer.Option("--apdb/--no-apdb", help="Read the APDB for the sky map and the separations.")
    ] = True,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write the report of a night: one HTML file that needs nothing else to be read.

    Sky map, counts, latency by stage, separations against the expected
    Rayleigh curve, ambiguous associations, metrics over time, worst offenders
    and dead letters. Reads the metrics topic and the dead letters from their
    beginning, and the sources of the night from the APDB; changes nothing.
    Without --night: the last night there are metrics of. Where nothing is known
    of a night no file is written, and the nights there are are named.
    """
    try:
        from stream_assoc.tools.report.page import page
    except ImportError as error:
        raise CommandError(
            f"a report needs jinja2 and matplotlib: pip install 'stream_assoc[plots]' ({error})"
        ) from error

    settings = settings_of(config, set_)
    settings = settings.model_copy(update={"kafka": without_client_logs(settings.kafka)})
    progress = Progress()
    records = list(progress.counting(read_metrics(settings, metrics), "Reading the metrics"))
    day = last_night(records) if night == LAST else dated(night)
    known = gathered(settings, day, records, dead_letters, metrics, progress, with_apdb=apdb)
    if known.is_empty:
        raise CommandError(nothing_known(known, records))
    path = output or Path(f"night-{day}.html")
    with progress.doing("Drawing"):
        path.write_text(page(known), encoding="utf-8")
    size = path.stat().st_size / 1024
    told = f"{len(known.metrics):,} batches"
    letters = "" if known.dead_letters is None else f", {len(known.dead_letters):,} dead letters"
    typer.echo(f"{path}: {told}{letters}; {size:,.0f} kB.")


def last_night(records: "Iterable[AssociationMetrics]") -> "DayObs":
    """Return the last night there are metrics of, or raise `CommandError`."""
    from stream_assoc.core.model.times import day_obs

    latest = max((one.midpointMjdTai for one in records), default=None)
    if latest is None:
        raise CommandError("there are no metrics, so there is no last night; name one with --night YYYYMMDD")
    return day_obs(latest)


def nothing_known(night: "Night", records: "Iterable[AssociationMetrics]") -> str:
    """Return what to tell of a night of which there is nothing: which nights there are."""
    from stream_assoc.tools.report.night import counted_nights, night_of

    told = [f"nothing is known of the night {night.day_obs} (the date at UTC-12h)"]
    if batches := Counter(night_of(one.midpointMjdTai) for one in records):
        told.append(f"there are batches of {counted_nights(batches)}")
    if night.other_dead_letters:
        told.append(f"there are dead letters of {counted_nights(night.other_dead_letters)}")
    told.append(f"this was read from {', '.join(night.origins)}")
    return "; ".join(told)


def gathered(  # noqa: PLR0913 - where each kind of record is read, and how that is shown
    settings: "Settings",
    day: "DayObs",
    records: "Iterable[AssociationMetrics]",
    dead_letters: Path | None,
    metrics: Path | None,
    progress: Progress,
    *,
    with_apdb: bool,
) -> "Night":
    """Return all that is known of a night."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.stores.apdb.reading.open import open_reader
    from stream_assoc.stores.apdb.reading.standby import standby_remark
    from stream_assoc.tools.report.night import (
        Night,
        dead_letters_by_night,
        metrics_of_night,
        objects_of,
        sources_of_night,
    )

    kafka = settings.kafka
    origins = [metrics.name if metrics else f"the topic {kafka.metrics_topic}"]
    letters, others = None, {}
    # Who has captures may have no broker.
    if dead_letters or not metrics:
        read = progress.counting(read_dead_letters(settings, dead_letters), "Reading the dead letters")
        nights = dead_letters_by_night(read, registry_of(kafka))
        letters = nights.pop(day, [])
        others = {night: len(letters) for night, letters in nights.items()}
        origins.append(dead_letters.name if dead_letters else f"the topic {kafka.dead_letter_topic}")
    sources = objects = None
    if with_apdb:
        with (
            progress.doing("Reading the APDB"),
            closing(open_reader(settings.apdb.connection_url(), settings.apdb.namespace, any_version=True)) as reader,
        ):
            # Before anything is read: what is missing cannot have been there then.
            remark = standby_remark(reader)
            sources = sources_of_night(reader, day)
            objects = objects_of(reader, sources)
        origins.append("the APDB" if remark is None else f"the APDB ({remark}, and may lack the last batches)")
    return Night(day, metrics_of_night(records, day), letters, sources, objects, origins, others)


def read_metrics(settings: "Settings", capture: Path | None) -> "Iterable[AssociationMetrics]":
    """Return all metrics there are: of a capture, or of the topic."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.report.night import records_of_capture
    from stream_assoc.tools.subscription.decoding import metrics_decoder
    from stream_assoc.tools.subscription.subscribe import METRICS, subscribe

    if capture is not None:
        return records_of_capture(existing(capture), metrics_decoder(registry_of(settings.kafka)), tell_bad)
    return subscribe(METRICS, since="beginning", until_end=True, settings=settings, on_bad=tell_bad)


def read_dead_letters(settings: "Settings", capture: Path | None) -> "Iterable[DeadLetter]":
    """Return all dead letters there are: of a capture, or of the topic."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.report.night import records_of_capture
    from stream_assoc.tools.subscription.decoding import dead_letter_decoder
    from stream_assoc.tools.subscription.subscribe import DEAD_LETTERS, subscribe

    if capture is not None:
        return records_of_capture(existing(capture), dead_letter_decoder(registry_of(settings.kafka)), tell_bad)
    return subscribe(DEAD_LETTERS, since="beginning", until_end=True, settings=settings, on_bad=tell_bad)


def existing(capture: Path) -> Path:
    """Return a file that is there, or raise `CommandError`."""
    if not capture.is_file():
        raise CommandError(f"there is no file {capture}; `stream-assoc replay capture TOPIC FILE` makes one")
    return capture


def tell_bad(bad: object) -> None:
    """Tell of a message that is passed over."""
    warn(str(bad))
