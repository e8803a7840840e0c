"""``stream-assoc announce``: tell followers where the telescope will point, by hand or from a schedule."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from stream_assoc.apps.cli.app import CommandError, ConfigOption, SetOption, closing, settings_of, without_client_logs
from stream_assoc.apps.cli.sending import made_producers
from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.core.model.announced_visits import AnnouncedVisit
    from stream_assoc.core.model.messages import OutputMessage
    from stream_assoc.tools.replay.options import Due

Ahead: TypeAlias = "Callable[[Iterable[Due]], Iterable[Due]]"
"""Puts announcements before the plan of a replay."""

AnnounceOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        help="Announce each visit on kafka.next_visits_topic so long before its first message is due; the replay "
        "begins so much later. Needs --speed or --rate.",
        show_default=False,
    ),
]

ANNOUNCE_HELP = closing(
    "stream-assoc announce --ra 150.1 --dec 2.2 --in 20",
    "stream-assoc announce --ra 150.1 --dec 2.2 --start 2026-11-27T03:00:00 --name field-7",
    "stream-assoc announce tonight.jsonl",
)


def announce(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A schedule: on each line a visit in JSON with Rubin's names, at least position, and startTime in "
            "seconds since 1970 TAI.",
            show_default=False,
        ),
    ] = None,
    ra: Annotated[
        float | None, typer.Option(help="Where the telescope will point, degrees, ICRS.", show_default=False)
    ] = None,
    dec: Annotated[
        float | None, typer.Option(help="Where the telescope will point, degrees, ICRS.", show_default=False)
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the visit begins: an ISO time (UTC where it names no zone) or an MJD TAI. Default: now.",
            show_default=False,
        ),
    ] = None,
    in_: Annotated[
        float | None, typer.Option("--in", min=0.0, help="The same, seconds from now.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="Its groupId: a later announcement of the name takes its place.")] = "",
    instrument: Annotated[str, typer.Option(help="The camera, for warming.instruments.")] = "",
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Announce visits on kafka.next_visits_topic, so that their sky is warm when their batches come.

    One visit by its position, or all of a schedule at once: followers warm
    each when it is near (warming.ahead_seconds). Needs Kafka and the topic.
    """
    from stream_assoc.core.model.announced_visits import unix_tai_of_mjd
    from stream_assoc.messaging.avro.next_visits import visit_of

    kafka = without_client_logs(settings_of(config, set_).kafka)
    by_hand = (ra, dec, start, in_)
    if file is not None:
        if by_hand != (None, None, None, None) or name or instrument:
            raise typer.BadParameter("a schedule says it all: leave --ra, --dec and the others out")
        visits = list(scheduled(file))
    elif ra is None or dec is None:
        raise typer.BadParameter("give a schedule, or --ra and --dec")
    else:
        begins = begin_of(start, in_)
        record = {"position": [ra, dec], "startTime": None if begins is None else unix_tai_of_mjd(begins)}
        visits = [visit_of(record | {"groupId": name, "instrument": instrument})]
    send(visits, kafka)
    typer.echo(f"{len(visits):,} {'visit' if len(visits) == 1 else 'visits'} announced on {kafka.next_visits_topic}.")


def begin_of(start: str | None, in_seconds: float | None) -> float | None:
    """Return when a visit begins, MJD TAI; `None` if nothing is said."""
    from stream_assoc.core.model.times import checked_mjd, mjd_tai_of_unix

    if start is not None and in_seconds is not None:
        raise typer.BadParameter("give either --start or --in")
    if in_seconds is not None:
        return mjd_tai_of_unix(time.time() + in_seconds)
    if start is None:
        return None
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        try:
            return checked_mjd(float(start), "--start")
        except ValueError as error:
            raise typer.BadParameter(f"{error}; give an ISO time or an MJD TAI") from None
    return mjd_tai_of_unix((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def scheduled(file: Path) -> Iterator["AnnouncedVisit"]:
    """Yield the visits of a schedule that are on the sky.

    Raises
    ------
    CommandError
        If a line cannot be used; it is named.
    """
    from stream_assoc.messaging.avro.next_visits import NOT_ON_SKY, decode_next_visit
    from stream_assoc.messaging.exceptions import AnnouncementError

    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield decode_next_visit(line)
        except AnnouncementError as error:
            if error.reason != NOT_ON_SKY:
                raise CommandError(f"{file}, line {number}: {error}; nothing was announced") from error


def send(visits: Sequence["AnnouncedVisit"], kafka: KafkaSettings) -> None:
    """Announce these visits."""
    encoded = encoding(kafka)
    with made_producers(kafka, 1) as (producer,):
        producer.send(map(encoded, visits))
        producer.flush()


def encoding(kafka: KafkaSettings) -> "Callable[[AnnouncedVisit], OutputMessage]":
    """Return what makes a message of a visit; with a Schema Registry, register the schema there first."""
    from stream_assoc.core.model.messages import OutputMessage
    from stream_assoc.messaging.avro.next_visits import encode_next_visit
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.messaging.avro.schemas import NEXT_VISIT, load_schema, schema_id

    topic, registry = kafka.next_visits_topic, registry_of(kafka)
    identifier = (
        schema_id(NEXT_VISIT) if registry is None else registry.register(f"{topic}-value", load_schema(NEXT_VISIT))
    )

    def encoded(visit: "AnnouncedVisit") -> OutputMessage:
        # Keyed by its name, so that an announcement that replaces another comes after it.
        return OutputMessage(topic, visit.groupId.encode() or None, encode_next_visit(visit, identifier))

    return encoded


def unannounced(plan: Iterable["Due"]) -> Iterable["Due"]:
    """Return a plan as it is."""
    return plan


@contextmanager
def announced(kafka: KafkaSettings, lead_seconds: float | None) -> Iterator[Ahead]:
    """Give what announces the visits of a plan so long ahead, or not at all."""
    from stream_assoc.messaging.avro.registry import registry_of
    from stream_assoc.tools.replay.announcing import Announcing

    if lead_seconds is None:
        yield unannounced
        return
    encoded = encoding(kafka)
    with made_producers(kafka, 1) as (producer,):

        def tell(visit: "AnnouncedVisit") -> None:
            producer.send([encoded(visit)])
            producer.flush()

        yield Announcing(lead_seconds, tell, registry_of(kafka))
