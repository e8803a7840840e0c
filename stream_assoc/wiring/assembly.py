"""From settings to a daemon that runs: the only place where every room is named."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import structlog

from stream_assoc.core.association.associator import AssociationConfig, Associator
from stream_assoc.core.association.new_objects import NewObjectConfig
from stream_assoc.core.association.solar_system import SolarSystemAssociator
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.state_layout import StateLayout
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.exceptions import PluginError
from stream_assoc.core.statistics.registry import FORCED_PLUGIN, PRODUCTION_PLUGINS
from stream_assoc.messaging.authority import authority_of
from stream_assoc.messaging.avro.batch_decoder import decoder_of
from stream_assoc.messaging.avro.outputs import AvroOutputEncoder, OutputSchemaIds, OutputTopics
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.avro.schemas import FORCED_SOURCE, METRICS, OBJECT, load_schema
from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.gaps import Gap
from stream_assoc.messaging.kafka.identities import KafkaTopicIdentities
from stream_assoc.messaging.kafka.outputs import KafkaOutputs
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.kafka.statistics import GroupState
from stream_assoc.messaging.kafka.topics import topic_losses
from stream_assoc.messaging.kafka.waiting import KAFKA_HINT, told_when_slow
from stream_assoc.pipeline.clock import Clock, PinnedClock, SystemClock
from stream_assoc.pipeline.matching import AssociationAlgorithms
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import ObjectCache
from stream_assoc.pipeline.ports.photometry import ForcedPhotometer, SelectionConfig
from stream_assoc.pipeline.region import CellLimits, SkyPartition
from stream_assoc.pipeline.services import Services
from stream_assoc.service.daemon.daemon import Daemon, MicroBatchLimits
from stream_assoc.service.daemon.exceptions import MicroBatchAbandonedError
from stream_assoc.service.daemon.handler import MessageHandler, milliseconds
from stream_assoc.service.daemon.health import APDB, CACHE, KAFKA, SCHEMA_REGISTRY, Health
from stream_assoc.service.daemon.lag import LagReporter
from stream_assoc.service.daemon.outbox import Names, Outbox
from stream_assoc.service.daemon.probes import probing
from stream_assoc.service.daemon.retry import Backoff, RetryLoop
from stream_assoc.service.daemon.stopping import StopRequest
from stream_assoc.service.daemon.trial import ProcessTrial
from stream_assoc.service.daemon.watched_handler import WatchedHandler
from stream_assoc.service.metrics.instruments import Instruments
from stream_assoc.service.ports import StreamEnds
from stream_assoc.settings import ConfigurationError, Settings
from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.stores.apdb.factory import SqlApdb, open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.archive import Archive
from stream_assoc.stores.apdb.reading.factory import open_archive
from stream_assoc.stores.apdb.sql.compatibility import ApdbReport
from stream_assoc.stores.cache.metered import MeteredCache
from stream_assoc.stores.cache.redis.cache import RedisCache
from stream_assoc.stores.cache.redis.connection import connect

log = structlog.get_logger(__name__)

MOST_WITH_IMAGES: Final = 8
"""Messages in hand where images are read: they keep the first of them from its subscribers for some seconds."""


def calculator_of(settings: Settings) -> StatisticsCalculator:
    """Return the calculator of the configured plugins, and where images are read of the mean of forced sources.

    Raises
    ------
    ConfigurationError
        If a plugin is unknown, cannot be used, or makes the same column as another.
    """
    configured = settings.statistics.plugins
    plugins = PRODUCTION_PLUGINS if configured is None else configured
    try:
        return StatisticsCalculator((*plugins, FORCED_PLUGIN) if settings.images.roots else plugins)
    except PluginError as error:
        raise ConfigurationError(f"statistics.plugins: {error}") from error


def photometer_of(images: ImageSettings, forced: ForcedPhotometrySettings) -> ForcedPhotometer | None:
    """Return what measures on images, `None` where none may be read.

    Raises
    ------
    ImageRootError
        If a root is no place where images could be, or what reads it is not installed.
    """
    if not images.roots:
        return None
    # astropy takes half a second, and most daemons read no image.
    from stream_assoc.photometry.image_store import ImageLimits, ImageStore
    from stream_assoc.photometry.measurement import Weighting
    from stream_assoc.photometry.photometer import ImagePhotometer, MeasurementConfig

    store = ImageStore(
        images.roots,
        ImageLimits(images.max_bytes, images.timeout_seconds, images.attempts),
        s3_endpoint_url=images.s3_endpoint_url,
        ssl_ca_file=images.ssl_ca_file,
    )
    good = GoodSources(forced.min_reliability, forced.max_trail_arcsec)
    return ImagePhotometer(
        store,
        SelectionConfig(forced.history_threshold, good),
        MeasurementConfig(Weighting(forced.weighting), forced.bad_planes),
    )


def layout_of(settings: Settings) -> StateLayout:
    """Return how the cache lays out the states of the configured statistics.

    The flag columns are part of its name: a state folded with others tells
    another flag.
    """
    calculator = calculator_of(settings)
    name = "+".join([calculator.layout, *sorted(settings.statistics.flag_columns)])
    return StateLayout(name, calculator.n_object_fields, calculator.initial_band_fields)


def partition_of(settings: Settings) -> SkyPartition:
    """Return the configured division of the sky."""
    return SkyPartition(settings.sky.tile_level, settings.sky.cell_level, settings.sky.angle_margin_arcsec)


def association_algorithms_of(settings: Settings) -> AssociationAlgorithms:
    """Return the configured association algorithms."""
    association = settings.association
    return AssociationAlgorithms(
        solar_system=SolarSystemAssociator(association.solar_system_radius_arcsec, association.max_candidate_pairs),
        associator=Associator(
            AssociationConfig(
                max_distance_arcsec=association.max_distance_arcsec,
                sigma_floor_arcsec=association.sigma_floor_arcsec,
                fallback_sigma_arcsec=association.fallback_sigma_arcsec,
                max_candidate_pairs=association.max_candidate_pairs,
            )
        ),
        new_objects=NewObjectConfig(
            bad_flags=settings.new_objects.bad_flags,
            min_reliability=settings.new_objects.min_reliability,
            min_snr=settings.new_objects.min_snr,
            max_new_dia_objects=settings.new_objects.max_new_dia_objects,
        ),
        keep_solar_system_ids=association.keep_solar_system_ids,
    )


def services_of(settings: Settings, apdb: Apdb, cache: ObjectCache) -> Services:
    """Return what batches meet, on these stores."""
    calculator = calculator_of(settings)
    pinned = settings.daemon.pin_clock_mjd
    clock: Clock = SystemClock() if pinned is None else PinnedClock(pinned)
    return Services(
        apdb=apdb,
        cache=cache,
        layout=layout_of(settings),
        algorithms=association_algorithms_of(settings),
        calculator=calculator,
        encoder=AvroOutputEncoder(
            OutputTopics(
                settings.kafka.objects_topic, settings.kafka.metrics_topic, settings.kafka.forced_sources_topic
            ),
            output_schema_ids_of(settings),
        ),
        partition=partition_of(settings),
        clock=clock,
        flag_columns=settings.statistics.flag_columns,
        photometer=photometer_of(settings.images, settings.forced_photometry),
        cell_limits=CellLimits(settings.batch.max_cells, settings.daemon.micro_batch_cells),
    )


def archive_of(settings: Settings) -> Archive:
    """Open the APDB for reading only; close it when done.

    Raises
    ------
    ApdbError
        As `~stream_assoc.stores.apdb.reading.factory.open_archive`.
    """
    return open_archive(settings.apdb.connection_url(), settings.apdb.namespace, patience_of(settings))


def lock_advice(report: ApdbReport, settings: Settings) -> str | None:
    """Return what to do if a few daemons could fill the server's lock table; `None` if they could not."""
    most, size = settings.daemon.micro_batch_cells, report.lock_table_size
    if size is None or 2 * most <= size:
        return None
    return (
        f"PostgreSQL's lock table holds about {size} locks of all its sessions together, and each daemon may hold "
        f"daemon.micro_batch_cells = {most}: raise max_locks_per_transaction there, or lower that setting, so that "
        "all daemons together fit in"
    )


@contextlib.contextmanager
def open_stores(settings: Settings) -> Iterator[tuple[SqlApdb, RedisCache]]:
    """Open the APDB and the cache, and close both at the end.

    Raises
    ------
    ApdbSchemaError
        If the database is no APDB that this version can write.
    CacheConfigurationError
        If the cache refuses its user, or what is needed of it.
    """
    with contextlib.ExitStack() as stack:
        apdb = open_apdb(
            settings.apdb.connection_url(),
            settings.apdb.namespace,
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            flag_columns=settings.statistics.flag_columns,
            patience=patience_of(settings),
        )
        stack.callback(apdb.close)
        if advice := lock_advice(apdb.report, settings):
            log.warning("apdb", advice=advice)
        apdb.expect_statistics(calculator_of(settings).plugin_columns)
        client = connect(
            settings.redis.url.get_secret_value(),
            options=settings.redis.client_options(),
            cluster=settings.redis.cluster,
            connect_timeout_seconds=settings.redis.connect_timeout_seconds,
            timeout_seconds=settings.redis.timeout_seconds,
        )
        cache = RedisCache(
            client,
            layout_of(settings),
            tile_level=settings.sky.tile_level,
            cell_level=settings.sky.cell_level,
            secret=apdb.report.cache_secret.encode(),
            prefix=f"{settings.redis.prefix}:{apdb.report.identity}",
        )
        stack.callback(cache.close)
        for advice in cache.check():
            log.warning("cache", advice=advice)
        yield apdb, cache


@contextlib.contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open the APDB and the cache as `open_stores`, and furnish the rooms."""
    with open_stores(settings) as (apdb, cache):
        yield services_of(settings, apdb, cache)


@contextlib.contextmanager
def open_daemon(
    settings: Settings, instruments: Instruments, stop: StopRequest, health: Health | None = None
) -> Iterator[Daemon]:
    """Assemble a daemon as configured; leave the group and close everything at the end.

    What becomes of its services is told to ``health``, one of its own by default.

    Raises
    ------
    FatalError
        If a store or the broker cannot be used as configured.
    RetriableError
        If one is away.
    """
    kafka = settings.kafka
    health = health or Health(instruments)
    with contextlib.ExitStack() as stack:
        apdb, cache = stack.enter_context(open_stores(settings))
        services = services_of(settings, apdb, cache)
        services = replace(
            services,
            cache=MeteredCache(services.cache, instruments.count_cache_reads),
            observe_micro_batch=_observing(instruments),
            on_progress=health.turn,
        )
        source = KafkaSource(
            kafka.consumer_options(),
            [kafka.input_topic],
            group_id=kafka.group_id,
            group_instance_id=kafka.group_instance_id,
            max_message_bytes=kafka.max_message_bytes,
            identities=KafkaTopicIdentities(kafka.client_options(), [kafka.input_topic]),
        )
        source.on_group_state = _announcing(source, health)
        source.on_gap = _reporting(instruments)
        stack.callback(source.close)
        with told_when_slow(lambda: log.warning("waiting for Kafka", kafka=kafka.bootstrap_servers, hint=KAFKA_HINT)):
            publisher = KafkaPublisher(
                kafka.producer_options(),
                source,
                transactional_id=kafka.effective_transactional_id,
                max_message_bytes=kafka.max_message_bytes,
            )
        stack.callback(publisher.close)
        # Beside the start, which it would delay: nothing depends on the answer.
        threading.Thread(target=_warn_of_losses, args=(kafka,), name="check-topics", daemon=True).start()
        health.answers([APDB, CACHE, KAFKA] + [SCHEMA_REGISTRY] * (kafka.schema_registry_url is not None))
        stack.enter_context(probing(health, {APDB: apdb.ping, CACHE: cache.ping}, settings.daemon.probe_seconds))
        ends = StreamEnds(source, publisher)
        yield Daemon(
            ends,
            WatchedHandler(
                handler_of(settings, services, instruments),
                apdb,
                ProcessTrial(settings, _while_trying(stop, health)),
            ),
            Outbox(
                ends,
                apdb,
                KafkaOutputs(kafka),
                Names(apdb.report.identity, kafka.group_id),
                instruments.count_recovered_outputs,
            ),
            RetryLoop(source, backoff_of(settings), stop, health),
            MicroBatchLimits(
                messages=micro_batch_messages_of(settings), poll_seconds=settings.daemon.poll_timeout_seconds
            ),
            on_poll=LagReporter(source, instruments),
        )


def _announcing(source: KafkaSource, health: Health) -> Callable[[GroupState], None]:
    """Tell health of the group, and the log of each settled place in it: of that it is ready, and for what."""
    announced: list[list[int]] = []

    def announce(state: GroupState) -> None:
        health.group_is(state)
        numbers = sorted(number for _, number in source.partitions)
        if not state.joined:
            announced.clear()
        elif announced != [numbers]:
            announced[:] = [numbers]
            log.info("ready", partitions=numbers)

    return announce


def _reporting(instruments: Instruments) -> Callable[[Gap], None]:
    def report(gap: Gap) -> None:
        instruments.count_gap(str(gap.cause), gap.n_skipped)
        log.error(
            "input gap",
            error=str(gap),
            cause=gap.cause,
            topic=gap.topic,
            partition=gap.partition,
            expected=gap.expected,
            resumed=gap.resumed,
            skipped=gap.n_skipped,
        )

    return report


def handler_of(settings: Settings, services: Services, instruments: Instruments) -> MessageHandler:
    """Return the configured handler of messages."""
    return MessageHandler(
        decoder_of(settings),
        replace(services, consumer_group=settings.kafka.group_id),
        settings.kafka.dead_letter_topic,
        instruments,
        authority_of(settings.operators),
        settings.kafka.max_message_bytes,
    )


def _while_trying(stop: StopRequest, health: Health) -> Callable[[], None]:
    """Return what a daemon does while a message is tried out: it is alive, and stops when it must."""

    def wait() -> None:
        health.turn()
        if stop.is_overdue():
            raise MicroBatchAbandonedError("the daemon is stopping while a message is tried out")

    return wait


def _warn_of_losses(kafka: KafkaSettings) -> None:
    try:
        lines = topic_losses(kafka)
    except StreamError as error:
        # A daemon needs no right to see how topics are configured.
        log.info("topics not checked", why=str(error))
        return
    for line in lines:
        log.warning("topics", advice=line)


def _observing(instruments: Instruments) -> Callable[[Mapping[str, float]], None]:
    def observe(seconds: Mapping[str, float]) -> None:
        instruments.observe_micro_batch(seconds)
        log.debug("micro-batch timed", steps=milliseconds(seconds))

    return observe


def output_schema_ids_of(settings: Settings) -> OutputSchemaIds:
    """Return the ids outputs are written with; with a Schema Registry, register them there first."""
    registry = registry_of(settings.kafka)
    if registry is None:
        return OutputSchemaIds()
    return OutputSchemaIds(
        objects=registry.register(f"{settings.kafka.objects_topic}-value", load_schema(OBJECT)),
        metrics=registry.register(f"{settings.kafka.metrics_topic}-value", load_schema(METRICS)),
        forced_sources=registry.register(f"{settings.kafka.forced_sources_topic}-value", load_schema(FORCED_SOURCE)),
    )


def micro_batch_messages_of(settings: Settings) -> int:
    """Return how many messages are taken in hand: few where one may take long, as all are published together."""
    messages = settings.daemon.micro_batch_messages
    return min(messages, MOST_WITH_IMAGES) if settings.images.roots else messages


def patience_of(settings: Settings) -> Patience:
    """Return how long to wait for the APDB."""
    apdb = settings.apdb
    return Patience(apdb.connect_timeout_seconds, apdb.timeout_seconds, apdb.lock_timeout_seconds)


def backoff_of(settings: Settings) -> Backoff:
    """Return the configured waits between tries."""
    daemon = settings.daemon
    return Backoff(daemon.retry_initial_seconds, daemon.retry_max_seconds, daemon.retry_jitter)
