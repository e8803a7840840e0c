"""The configured daemon, and running it under supervision."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

import structlog

from stream_assoc.messaging.authority import authority_of
from stream_assoc.messaging.avro.batch_decoder import decoder_of
from stream_assoc.messaging.exceptions import StreamError
from stream_assoc.messaging.kafka.client import KAFKA_HINT, told_when_slow
from stream_assoc.messaging.kafka.gaps import Gap
from stream_assoc.messaging.kafka.hooks import GroupState, SourceHooks
from stream_assoc.messaging.kafka.outputs import KafkaOutputs
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.kafka.topic_identities import KafkaTopicIdentities
from stream_assoc.messaging.kafka.topics import topic_losses
from stream_assoc.messaging.marks import Partition
from stream_assoc.pipeline.services import Services
from stream_assoc.service.daemon.daemon import Daemon, DaemonHooks, MicroBatchLimits
from stream_assoc.service.daemon.handler import MessageHandler, milliseconds
from stream_assoc.service.daemon.health import APDB, CACHE, KAFKA, SCHEMA_REGISTRY, Health, probing
from stream_assoc.service.daemon.lag import LagReporter
from stream_assoc.service.daemon.membership import MembershipKeeper
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
from stream_assoc.wiring.pipeline import services_of
from stream_assoc.wiring.stores import open_stores
from stream_assoc.wiring.warming import Beside, backoff_of, warming_beside

log = structlog.get_logger(__name__)

TRIAL_PROCESS: Final = "stream_assoc.wiring.trial_process"
"""The module that runs in the child process of a trial."""

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
    with warming_beside(settings, instruments.warming) as beside:
        supervise(
            lambda: open_daemon(settings, instruments, stop, health, beside),
            RestartBudget(settings.daemon.restart_budget, settings.daemon.restart_window_seconds),
            backoff_of(settings),
            stop,
            health,
        )


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
        membership, announce = MembershipKeeper(), _announcing(health)

        def give_up(partitions: frozenset[Partition]) -> None:
            membership.hold_back(partitions)
            instruments.count_released("revoked", len(partitions))

        source = KafkaSource(
            kafka.consumer_options(),
            [kafka.input_topic],
            group_id=kafka.group_id,
            group_instance_id=kafka.group_instance_id,
            max_message_bytes=kafka.max_message_bytes,
            identities=KafkaTopicIdentities(kafka.client_options(), [kafka.input_topic]),
            taken_up=lambda partitions: {
                (note.topic, note.partition): note.last_offset + 1 for note in apdb.in_hand(partitions)
            },
            hooks=SourceHooks(
                on_revoke=give_up,
                on_lost=lambda partitions: instruments.count_released("lost", len(partitions)),
                on_group_state=lambda state: announce(state, source.partitions),
                on_gap=_reporting(instruments),
            ),
        )
        # One that only starts anew, because a service was away, keeps its place.
        stack.callback(lambda: source.close(leave=kafka.leave_group_on_stop and stop.is_set()))
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
                ProcessTrial(settings, TRIAL_PROCESS, _while_trying(stop, health)),
            ),
            Outbox(
                ends,
                apdb,
                KafkaOutputs(kafka),
                Names(apdb.report.identity, kafka.group_id),
                instruments.count_recovered_outputs,
            ),
            RetryLoop(source, backoff_of(settings), stop, health, membership),
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


def _announcing(health: Health) -> Callable[[GroupState, Collection[Partition]], None]:
    """Return what passes the state of the group to health, and logs ``ready`` for each new set of partitions."""
    announced: list[list[int]] = []

    def announce(state: GroupState, partitions: Collection[Partition]) -> None:
        health.group_is(state)
        numbers = sorted(number for _, number in partitions)
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
