"""The configured daemon that makes alerts, and running it under supervision."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

import structlog

from stream_assoc.core.model.times import unix_of_mjd_tai
from stream_assoc.messaging.avro.alerts.encoder import AlertEncoder
from stream_assoc.messaging.avro.alerts.schemas import alert_schema
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.avro.schemas import METRICS, writer_schemas
from stream_assoc.messaging.kafka.offsets import count_partitions
from stream_assoc.photometry.cutouts.cutter import Cutter
from stream_assoc.pipeline.alerts import AlertContent
from stream_assoc.service.alerts.daemon import AlertDaemon, AlertLimits
from stream_assoc.service.alerts.instruments import AlertInstruments
from stream_assoc.service.alerts.maker import CLOCKS, AlertMaker, AlertSources, Clocks, Destination
from stream_assoc.service.alerts.ports import AlertEnds
from stream_assoc.service.daemon.health import APDB, KAFKA, SCHEMA_REGISTRY, Health, probing
from stream_assoc.service.daemon.lag import LagReporter
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.service.daemon.supervision import RestartBudget, supervise
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.wiring.ends import Stream, open_ends
from stream_assoc.wiring.pipeline import image_store_of
from stream_assoc.wiring.stores import reader_of
from stream_assoc.wiring.warming import backoff_of

log = structlog.get_logger(__name__)

_CODEC_LEVELS: Final = {"gzip": {"compression.level": 1}}
"""The fastest: alerts hardly become smaller by more."""


def run_alerts(
    settings: Settings, instruments: AlertInstruments, stop: StopRequest, health: Health | None = None
) -> None:
    """Make alerts as configured until asked to stop, restarts included; raises as `supervise`.

    Parameters
    ----------
    settings : `Settings`
    instruments : `AlertInstruments`
        What Prometheus sees of it, over all restarts.
    stop : `StopRequest`
        Ends it.
    health : `Health`, optional
        Receives its state and that of each service; by default nobody reads it.
    """
    health = health or Health(instruments)
    supervise(
        lambda: open_alert_daemon(settings, instruments, stop, health),
        RestartBudget(settings.daemon.restart_budget, settings.daemon.restart_window_seconds),
        backoff_of(settings),
        stop,
        health,
    )


@contextlib.contextmanager
def open_alert_daemon(
    settings: Settings, instruments: AlertInstruments, stop: StopRequest, health: Health
) -> Iterator[AlertDaemon]:
    """Assemble a daemon that makes alerts; leave the group and close everything at the end.

    Raises
    ------
    FatalError
        If the APDB or the broker cannot be used as configured.
    RetriableError
        If one is away.
    """
    kafka = settings.kafka
    with contextlib.ExitStack() as stack:
        reader = reader_of(settings)
        stack.callback(reader.close)
        stream = Stream(
            kafka.metrics_topic, group_of(settings), transactional_id_of(settings), _producer_options(settings)
        )
        opened = stack.enter_context(open_ends(kafka, stream, instruments, stop, health))
        health.answers([APDB, KAFKA] + [SCHEMA_REGISTRY] * (kafka.schema_registry_url is not None))
        stack.enter_context(probing(health, {APDB: lambda: _ping(reader)}, settings.daemon.probe_seconds))
        yield AlertDaemon(
            AlertEnds(opened.source, opened.publisher),
            alert_maker_of(settings, reader),
            RetryLoop(opened.source, backoff_of(settings), stop, health, opened.membership),
            AlertLimits(settings.daemon.micro_batch_messages, poll_seconds=settings.daemon.poll_timeout_seconds),
            instruments,
            LagReporter(opened.source, instruments),
        )


def alert_maker_of(settings: Settings, reader: ApdbReader) -> AlertMaker:
    """Return what makes the configured alerts of an APDB.

    Raises
    ------
    KafkaUnavailableError
        If no broker tells how many partitions the topic of alerts has.
    KafkaConfigurationError
        If there is no such topic.
    """
    alerts, kafka, registry = settings.alerts, settings.kafka, registry_of(settings.kafka)
    schemas = writer_schemas(METRICS, registry)
    has_images = alerts.cutouts and bool(settings.images.roots)
    schema_id = None
    if registry is not None:
        schema_id = registry.register(f"{kafka.alerts_topic}-value", alert_schema(alerts.schema_version))
    pinned = settings.daemon.pin_clock_mjd
    return AlertMaker(
        AlertSources(
            reader,
            Cutter(image_store_of(settings.images)) if has_images else None,
            alerts.image_patience_seconds,
            lambda value: decode_metrics(value, schemas),
        ),
        AlertContent(alerts.solar_system, alerts.min_reliability, alerts.history_days, alerts.alerts_at_once),
        AlertEncoder(alerts.schema_version, schema_id),
        Destination(
            kafka.alerts_topic,
            count_partitions(kafka.client_options(), kafka.alerts_topic),
            settings.sky.cell_level,
        ),
        CLOCKS if pinned is None else Clocks(time.monotonic, lambda: unix_of_mjd_tai(pinned)),
    )


def group_of(settings: Settings) -> str:
    """Return the consumer group of those who make alerts."""
    return settings.alerts.group_id or f"{settings.kafka.group_id}-alerts"


def transactional_id_of(settings: Settings) -> str:
    """Return the transactional id of the alerts that this host makes."""
    return settings.alerts.transactional_id or f"{settings.kafka.effective_transactional_id}-alerts"


def _producer_options(settings: Settings) -> dict[str, Any]:
    codec = settings.alerts.compression
    chosen = {"compression.type": codec, **_CODEC_LEVELS.get(codec, {})}
    return {**settings.kafka.producer_options(), **chosen}


def _ping(reader: ApdbReader) -> None:
    reader.recent_batches(0)
