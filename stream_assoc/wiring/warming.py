"""The configured warmer of the cache, and the one that follows announcements."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.messaging.avro.next_visits import decode_next_visit
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.exceptions import AnnouncementError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.pipeline.ports.cache import WarmableCache
from stream_assoc.pipeline.ports.sessions import ApdbReaders
from stream_assoc.pipeline.warming import Warmed, Warmer
from stream_assoc.service.beside import ProcessBeside
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.service.warming.agenda import Agenda, entry_of
from stream_assoc.service.warming.follower import Follower, Means, Observer, patiently
from stream_assoc.service.warming.instruments import WarmingInstruments
from stream_assoc.service.warming.pace import Pace
from stream_assoc.service.warming.sky import AnnouncedSky
from stream_assoc.settings import ConfigurationError, Settings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.stores.cache.metered import CountReads
from stream_assoc.wiring.pipeline import calculator_of, checkpoints_of, partition_of
from stream_assoc.wiring.stores import open_stores

log = structlog.get_logger(__name__)

WARMING_PROCESS: Final = "stream_assoc.wiring.warming_process"
"""The module that runs in the child process beside a daemon."""

_LISTEN_SECONDS: Final = 0.5

_SESSION_MS: Final = 10_000
"""Brokers allow 6 s or more. Kafka's default of 45 s is as long as two visits take."""

_MOST_TILES: Final = 500_000
"""Of one visit. A circle of 20 degrees has half of that with tiles of level 10."""


def warmer_of(settings: Settings, apdb: ApdbReaders, cache: WarmableCache) -> Warmer:
    """Return the configured warmer of a cache."""
    return Warmer(apdb, cache, calculator_of(settings), partition_of(settings), checkpoints_of(settings))


@contextlib.contextmanager
def open_follower(
    settings: Settings, stop: StopRequest, observer: Observer, is_busy: Callable[[], bool] = lambda: False
) -> Iterator[Follower]:
    """Assemble what follows announcements as configured, and close everything at the end.

    Parameters
    ----------
    settings : `Settings`
    stop : `StopRequest`
        Ends it.
    observer : `Observer`
        Is told how it goes on.
    is_busy : callable, optional
        Tells whether a batch is in hand, which should have the machine for itself.

    Raises
    ------
    FatalError
        If a store or the broker cannot be used as configured, or there is no topic of announcements.
    RetriableError
        If one is away.
    """
    check_radius(settings)
    kafka, registry = settings.kafka, registry_of(settings.kafka)
    with contextlib.ExitStack() as stack:
        apdb, cache = stack.enter_context(open_stores(settings))
        # Announcements of visits that are past are dropped at once, those of a night to come are not missed.
        reading = Reading(kafka.next_visits_topic, start="beginning", group=group_of(settings))
        means = Means(
            stack.enter_context(TopicReader(_soon_replaced(kafka), reading)),
            lambda value: decode_next_visit(value, registry),
            warmer_of(settings, apdb, cache),
            Pace(settings.warming.share, stop.wait, is_busy),
            observer,
            backoff_of(settings),
        )
        yield Follower(means, settings.warming, stop)


def follow(
    settings: Settings, stop: StopRequest, observer: Observer, is_busy: Callable[[], bool] = lambda: False
) -> None:
    """Follow announcements until asked to stop, and wait for services that are away; parameters as `open_follower`.

    Raises
    ------
    FatalError
        As `open_follower`.
    """

    def run() -> None:
        with open_follower(settings, stop, observer, is_busy) as follower:
            log.info("following", topic=settings.kafka.next_visits_topic, group=group_of(settings))
            follower.run()

    patiently(run, backoff_of(settings), stop)


def sight(settings: Settings, stop: StopRequest, tell: Callable[[float, float], None]) -> None:
    """Tell right ascension and declination of every announced visit that is near, whoever warms it.

    It goes on until asked to stop.

    Raises
    ------
    FatalError
        If there is no topic of announcements, or the broker refuses this client.
    """
    kafka, warming, registry = settings.kafka, settings.warming, registry_of(settings.kafka)

    def now() -> float:
        return mjd_tai_of_unix(time.time())

    # The follower that it is for counts what is dropped, and what cannot be used.
    agenda = Agenda(warming.ahead_seconds, warming.past_after_seconds, now, lambda entry, reason: None)

    def run() -> None:
        with TopicReader(kafka, Reading(kafka.next_visits_topic)) as reader:
            while not stop.is_set():
                for message in reader.read(_LISTEN_SECONDS):
                    with contextlib.suppress(AnnouncementError):
                        agenda.add(entry_of(message, decode_next_visit(message.value, registry), now()))
                while (entry := agenda.next()) is not None:
                    tell(entry.visit.ra, entry.visit.dec)

    patiently(run, backoff_of(settings), stop)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a daemon has to do with the warming beside it.

    Attributes
    ----------
    in_hand : callable
        Makes the block in which a batch is in hand.
    announced : `tuple` [`AnnouncedSky`, `CountReads`] or `None`
        What was announced lately, and what counts reads there; `None` where nothing is warmed.
    """

    in_hand: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    announced: tuple[AnnouncedSky, CountReads] | None = None


@contextlib.contextmanager
def warming_beside(settings: Settings, instruments: WarmingInstruments) -> Iterator[Beside]:
    """Warm in a process beside the daemon for the length of the block, where the settings ask for it."""
    if not settings.warming.enabled:
        yield Beside()
        return
    sky = AnnouncedSky(settings.warming.radius_deg, partition_of(settings))
    hear: dict[str, Callable[..., None]] = {
        "announced": instruments.announced,
        "dropped": instruments.dropped,
        "warmed": lambda *counts: instruments.warmed(Warmed(*counts)),
        "finished": instruments.finished,
        "sighted": sky.add,
    }
    with ProcessBeside(settings, WARMING_PROCESS, hear, backoff_of(settings), "warming") as process:
        yield Beside(process.in_hand, (sky, instruments.count_reads))


def backoff_of(settings: Settings) -> Backoff:
    """Return the configured waits between tries."""
    daemon = settings.daemon
    return Backoff(daemon.retry_initial_seconds, daemon.retry_max_seconds, daemon.retry_jitter)


def _soon_replaced(kafka: KafkaSettings) -> KafkaSettings:
    """Return settings of a member whose partitions go to another soon after it has died: visits do not wait."""
    options = {"session.timeout.ms": _SESSION_MS, **kafka.librdkafka_consumer}
    return kafka.model_copy(update={"librdkafka_consumer": options})


def group_of(settings: Settings) -> str:
    """Return the consumer group of those who warm."""
    return settings.warming.group_id or f"{settings.kafka.group_id}-warming"


def check_radius(settings: Settings) -> None:
    """Refuse a circle of millions of tiles.

    Raises
    ------
    ConfigurationError
        If the settings ask for one.
    """
    cap = (1.0 - math.cos(math.radians(settings.warming.radius_deg))) / 2.0
    n_tiles = cap * 8 * 4**settings.sky.tile_level
    if n_tiles > _MOST_TILES:
        raise ConfigurationError(
            f"warming.radius_deg {settings.warming.radius_deg:g} and sky.tile_level {settings.sky.tile_level} are "
            f"{n_tiles:.2g} tiles a visit, at most {_MOST_TILES} are warmed; choose a smaller radius"
        )
