"""The two ends of a daemon's stream in Kafka: the member of its group, and the publisher of its outputs."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from stream_assoc.messaging.kafka.client import KAFKA_HINT, told_when_slow
from stream_assoc.messaging.kafka.gaps import Gap, TakenUp
from stream_assoc.messaging.kafka.hooks import GroupState, SourceHooks
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.kafka.topic_identities import KafkaTopicIdentities
from stream_assoc.messaging.marks import Partition
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.loop_instruments import LoopInstruments
from stream_assoc.settings.kafka import KafkaSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stream:
    """What a daemon reads as whom, and how it publishes.

    Attributes
    ----------
    topic : `str`
        What it reads.
    group_id, transactional_id : `str`
        Who it is to the brokers.
    producer_options : `~collections.abc.Mapping`
        librdkafka's options of the producer.
    taken_up : `TakenUp`
        Says how far daemons have read a partition that the group has no offset of any more.
    """

    topic: str
    group_id: str
    transactional_id: str
    producer_options: Mapping[str, Any]
    taken_up: TakenUp = lambda partitions: {}


@dataclass(frozen=True, slots=True)
class KafkaEnds:
    """Both ends, and what keeps the membership of the first while there is work."""

    source: KafkaSource
    publisher: KafkaPublisher
    membership: MembershipKeeper


@contextlib.contextmanager
def open_ends(
    kafka: KafkaSettings, stream: Stream, instruments: LoopInstruments, stop: StopRequest, health: Health
) -> Iterator[KafkaEnds]:
    """Join the group and take over the transactional id; leave and close at the end.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers in time.
    KafkaConfigurationError
        If an option is wrong or a permission is missing.
    """
    membership, announce = MembershipKeeper(), _announcing(health)

    def give_up(partitions: frozenset[Partition]) -> None:
        membership.hold_back(partitions)
        instruments.count_released("revoked", len(partitions))

    with contextlib.ExitStack() as stack:
        source = KafkaSource(
            kafka.consumer_options(),
            [stream.topic],
            group_id=stream.group_id,
            group_instance_id=kafka.group_instance_id,
            max_message_bytes=kafka.max_message_bytes,
            identities=KafkaTopicIdentities(kafka.client_options(), [stream.topic]),
            taken_up=stream.taken_up,
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
                stream.producer_options,
                source,
                transactional_id=stream.transactional_id,
                max_message_bytes=kafka.max_message_bytes,
            )
        stack.callback(publisher.close)
        yield KafkaEnds(source, publisher, membership)


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


def _reporting(instruments: LoopInstruments) -> Callable[[Gap], None]:
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
