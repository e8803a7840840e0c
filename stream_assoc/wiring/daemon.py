"""The configured daemon, and running it under supervision."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import structlog

from stream_assoc.messaging.authority import authority_of
from stream_assoc.messaging.avro.batch_decoder import decoder_of
from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.outputs import KafkaOutputs
from stream_assoc.messaging.kafka.topics import topic_losses
from stream_assoc.pipeline.services import Services
from stream_assoc.service.beside import ProcessBeside
from stream_assoc.service.daemon.daemon import Daemon, DaemonHooks, MicroBatchLimits
from stream_assoc.service.daemon.handler import MessageHandler, milliseconds
from stream_assoc.service.daemon.health import APDB, CACHE, KAFKA, SCHEMA_REGISTRY, Health, probing
from stream_assoc.service.daemon.lag import LagReporter
from stream_assoc.service.daemon.outbox import Names, Outbox
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.service.daemon.rollback import RollbackCheck
from stream_assoc.service.daemon.supervision import RestartBudget, supervise
from stream_assoc.service.daemon.trial import ProcessTrial
from stream_assoc.service.daemon.watched_handler import WatchedHandler
from stream_assoc.service.exceptions import MicroBatchAbandonedError
from stream_assoc.service.instruments import Instruments
from stream_assoc.service.ports import StreamEnds
from stream_assoc.settings import Settings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.stores.cache.metered import MeteredCache
from stream_assoc.wiring.ends import Stream, open_ends
from stream_assoc.wiring.pipeline import services_of
from stream_assoc.wiring.stores import open_stores
from stream_assoc.wiring.warming import Beside, backoff_of, warming_beside

log = structlog.get_logger(__name__)

TRIAL_PROCESS: Final = "stream_assoc.wiring.trial_process"
"""The module that runs in the child process of a trial."""

ALERTS_PROCESS: Final = "stream_assoc.wiring.alerts_process"
"""The module that runs in the process beside a daemon that makes alerts."""

MOST_WITH_IMAGES: Final = 8
"""Messages of a micro-batch where images are read: subscribers wait some seconds for the first of them."""


def run_daemon(settings: Settings, instruments: Instruments, stop: StopRequest, health: Health | None = None) -> None:
    """Run the configured daemon until asked to stop, restarts included; raises as `supervise`.

    Parameters
    ----------
    settings : `Settings`
        Of the daemon.
    instruments : `Instruments`
        What Prometheus sees of it, over all restarts.
    stop : `StopRequest`
        Ends it.
    health : `Health`, optional
        Receives the state of the daemon and of each service; by default nobody reads it.
    """
    health = health or Health(instruments)
    with warming_beside(settings, instruments.warming) as beside, _alerts_beside(settings):
        supervise(
            lambda: open_daemon(settings, instruments, stop, health, beside),
            RestartBudget(settings.daemon.restart_budget, settings.daemon.restart_window_seconds),
            backoff_of(settings),
            stop,
            health,
        )


def _alerts_beside(settings: Settings) -> contextlib.AbstractContextManager[object]:
    """Make alerts in a process beside the daemon for the length of the block, where the settings ask for it."""
    if not settings.alerts.enabled:
        return contextlib.nullcontext()
    return ProcessBeside(settings, ALERTS_PROCESS, {}, backoff_of(settings), "alerts")


@contextlib.contextmanager
def open_daemon(
    settings: Settings,
    instruments: Instruments,
    stop: StopRequest,
    health: Health | None = None,
    beside: Beside | None = None,
) -> Iterator[Daemon]:
    """Assemble a daemon as configured; leave the group and close everything at the end.

    ``health`` receives the state of each service; ``beside`` is the warming beside it, by default none.

    Raises
    ------
    FatalError
        If a store or the broker cannot be used as configured.
    RetriableError
        If one is away.
    """
    kafka = settings.kafka
    health, beside = health or Health(instruments), beside or Beside()
    with contextlib.ExitStack() as stack:
        apdb, cache = stack.enter_context(open_stores(settings))
        services = services_of(settings, apdb, cache)
        services = replace(
            services,
            cache=MeteredCache(services.cache, instruments.count_cache_reads, beside.announced),
            observe_micro_batch=_observing(instruments),
            on_progress=health.note_progress,
            on_tiles_changed=instruments.count_decided_again,
        )
        stream = Stream(
            kafka.input_topic,
            kafka.group_id,
            kafka.effective_transactional_id,
            kafka.producer_options(),
            lambda partitions: {
                (note.topic, note.partition): note.last_offset + 1 for note in apdb.in_hand(partitions)
            },
        )
        opened = stack.enter_context(open_ends(kafka, stream, instruments, stop, health))
        # Beside the start, which it would delay: nothing depends on the answer.
        threading.Thread(target=_warn_of_losses, args=(kafka,), name="check-topics", daemon=True).start()
        health.answers([APDB, CACHE, KAFKA] + [SCHEMA_REGISTRY] * (kafka.schema_registry_url is not None))
        stack.enter_context(probing(health, {APDB: apdb.ping, CACHE: cache.ping}, settings.daemon.probe_seconds))
        source, ends = opened.source, StreamEnds(opened.source, opened.publisher)
        yield Daemon(
            ends,
            WatchedHandler(
                handler_of(settings, services, instruments),
                apdb,
                ProcessTrial(settings, TRIAL_PROCESS, _while_trying(stop, health)),
            ),
            Outbox(
                ends,
                apdb,
                KafkaOutputs(kafka),
                Names(apdb.report.identity, kafka.group_id),
                instruments.count_recovered_outputs,
            ),
            RetryLoop(source, backoff_of(settings), stop, health, opened.membership),
            MicroBatchLimits(
                messages=micro_batch_messages_of(settings), poll_seconds=settings.daemon.poll_timeout_seconds
            ),
            DaemonHooks(
                LagReporter(source, instruments),
                beside.in_hand,
                RollbackCheck(source.standings, apdb, apdb.report.identity).check,
            ),
        )


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


def micro_batch_messages_of(settings: Settings) -> int:
    """Return the most messages of a micro-batch: few where one may take long, as all are published together."""
    messages = settings.daemon.micro_batch_messages
    return min(messages, MOST_WITH_IMAGES) if settings.images.roots else messages


def _while_trying(stop: StopRequest, health: Health) -> Callable[[], None]:
    """Return what a daemon does while a message is tried out: show that it is alive, and stop when it must."""

    def wait() -> None:
        health.note_progress()
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
