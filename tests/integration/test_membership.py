"""A daemon that works for long keeps its partitions, and counts nothing twice when it has to give them up.

The work takes long because the test holds a lock on a table of the APDB.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage, OutputMessage
from stream_assoc.messaging.exceptions import PublishError
from stream_assoc.messaging.kafka.ownership import Ownership
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.kafka.source import KafkaSource
from stream_assoc.messaging.marks import NO_MARKS, Marks, Partition
from stream_assoc.service.daemon import membership
from stream_assoc.service.daemon.handler import Answer, MessageHandler
from stream_assoc.service.daemon.membership import MembershipKeeper
from stream_assoc.settings import Settings
from tests.contents import LEDGER, OUTBOX, columns, contents
from tests.integration.deployment import Deployment
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration

INTERVAL_SECONDS = 4.0
"""After that time without a poll a member is out of its group."""

MEMBER = {
    "max.poll.interval.ms": round(1000 * INTERVAL_SECONDS),
    "session.timeout.ms": round(1000 * INTERVAL_SECONDS),
    "heartbeat.interval.ms": 500,
}


@dataclass
class Record:
    """What the daemons of a test did, in the words of their logs."""

    assigned: list[frozenset[Partition]] = field(default_factory=list)
    taken: list[frozenset[Partition]] = field(default_factory=list)
    answered: Counter[InputPosition] = field(default_factory=Counter)
    published: Counter[InputPosition] = field(default_factory=Counter)
    refused: list[PublishError] = field(default_factory=list)
    last_poll: float = 0.0
    revocation: threading.Event = field(default_factory=threading.Event)

    def n_assigned(self) -> int:
        return sum(map(len, self.assigned))

    def owned(self) -> frozenset[Partition]:
        return frozenset().union(*self.assigned)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """Note what every daemon of this process does."""
    noted = Record()
    gain, lose, idle = Ownership.gain, Ownership.lose, KafkaSource.idle
    answer, publish = MessageHandler.answer, KafkaPublisher.publish
    hold_back = MembershipKeeper.hold_back

    def gain_noted(self: Ownership, partitions: frozenset[Partition]) -> None:
        gain(self, partitions)
        noted.assigned.append(partitions)

    def lose_noted(self: Ownership, partitions: frozenset[Partition]) -> None:
        lose(self, partitions)
        noted.taken.append(partitions)

    def idle_noted(self: KafkaSource, seconds: float) -> None:
        idle(self, seconds)
        noted.last_poll = time.monotonic()

    def answer_noted(self: MessageHandler, messages: Sequence[InputMessage]) -> list[Answer]:
        noted.answered.update(message.position for message in messages)
        return answer(self, messages)

    def publish_noted(
        self: KafkaPublisher,
        messages: Sequence[OutputMessage],
        consumed: Sequence[InputPosition],
        marks: Marks = NO_MARKS,
    ) -> None:
        try:
            publish(self, messages, consumed, marks)
        except PublishError as error:
            noted.refused.append(error)
            raise
        noted.published.update(consumed)

    def hold_back_noted(self: MembershipKeeper, partitions: frozenset[Partition]) -> None:
        noted.revocation.set()
        hold_back(self, partitions)

    monkeypatch.setattr(Ownership, "gain", gain_noted)
    monkeypatch.setattr(Ownership, "lose", lose_noted)
    monkeypatch.setattr(KafkaSource, "idle", idle_noted)
    monkeypatch.setattr(MessageHandler, "answer", answer_noted)
    monkeypatch.setattr(KafkaPublisher, "publish", publish_noted)
    monkeypatch.setattr(MembershipKeeper, "hold_back", hold_back_noted)
    return noted


@pytest.fixture
def deployment(deployed: Callable[..., Deployment]) -> Deployment:
    """Two partitions, and daemons that take all that waits in one micro-batch."""
    return deployed(kafka={"partitions": 2, "librdkafka_consumer": MEMBER})


def second(deployment: Deployment) -> Settings:
    """Return the settings of a second daemon of the group."""
    kafka = deployment.settings.kafka.model_copy(
        update={"transactional_id": f"{deployment.settings.kafka.group_id}-2"}
    )
    return deployment.settings.model_copy(update={"kafka": kafka})


@contextlib.contextmanager
def slow_database(deployment: Deployment) -> Iterator[float]:
    """Send a night and let the daemon that takes it in hand wait, until the end of the block, for a lock.

    Gives the time at which it began to wait.
    """
    url = deployment.settings.apdb.url.get_secret_value()
    with psycopg.connect(url) as connection:
        connection.execute('LOCK TABLE "DiaSource" IN ACCESS EXCLUSIVE MODE')
        deployment.send(night())
        deployment.wait_until(lambda: is_waited_for(connection))
        yield time.monotonic()


def is_waited_for(connection: psycopg.Connection) -> bool:
    waiting = connection.execute(
        """SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '"DiaSource"'::regclass"""
    )
    return waiting.fetchone() is not None


def assert_counted_once(deployment: Deployment) -> None:
    url = deployment.settings.apdb.url.get_secret_value()
    expected = sorted((one.id.visit, one.id.detector) for one in night())
    assert sorted(columns(url, LEDGER, "visit", "detector")) == expected
    assert sorted((one.visit, one.detector) for one in deployment.metrics()) == expected
    assert contents(url, OUTBOX)[OUTBOX] == []


def test_a_daemon_keeps_its_partitions_while_the_database_is_slow(deployment: Deployment, record: Record) -> None:
    with deployment.daemon():
        deployment.wait_until(lambda: len(record.owned()) == 2)
        with slow_database(deployment) as since:
            deployment.wait_until(lambda: record.last_poll > since + INTERVAL_SECONDS + 1.0)
        deployment.wait_until(lambda: deployment.n_committed() == deployment.sent)
        # No rebalance: the group has given its partitions once, and taken none.
        assert record.taken == []
        assert record.n_assigned() == 2
    assert set(record.answered.values()) == set(record.published.values()) == {1}
    assert_counted_once(deployment)


def test_what_is_in_hand_is_finished_and_committed_before_its_partitions_go(
    deployment: Deployment, record: Record
) -> None:
    with deployment.daemon():
        deployment.wait_until(lambda: len(record.owned()) == 2)
        with slow_database(deployment), contextlib.ExitStack() as stack:
            stack.enter_context(deployment.daemon(second(deployment)))
            deployment.wait_until(record.revocation.is_set)
            assert record.taken == []
            after_the_lock = stack.pop_all()
        with after_the_lock:
            deployment.wait_until(lambda: deployment.n_committed() == deployment.sent)
    assert set(record.answered.values()) == set(record.published.values()) == {1}
    assert_counted_once(deployment)


def test_what_is_not_finished_in_time_is_left_to_the_next_owner(deployment: Deployment, record: Record) -> None:
    with deployment.daemon():
        deployment.wait_until(lambda: len(record.owned()) == 2)
        with slow_database(deployment), contextlib.ExitStack() as stack:
            stack.enter_context(deployment.daemon(second(deployment)))
            deployment.wait_until(lambda: bool(record.taken))
            after_the_lock = stack.pop_all()
        with after_the_lock:
            deployment.wait_until(lambda: deployment.n_committed() == deployment.sent)
    assert set(record.published.values()) == {1}
    assert_counted_once(deployment)


def test_a_member_that_was_thrown_out_commits_nothing(
    deployment: Deployment, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody polls while a daemon works, and so the group takes it for dead.
    monkeypatch.setattr(membership, "MAX_BUSY_SECONDS", 1000.0)
    monkeypatch.setattr(membership, "BUSY_FRACTION", 1000.0)
    with deployment.daemon():
        deployment.wait_until(lambda: len(record.owned()) == 2)
        with slow_database(deployment), contextlib.ExitStack() as stack:
            stack.enter_context(deployment.daemon(second(deployment)))
            deployment.wait_until(lambda: record.n_assigned() == 4)
            after_the_lock = stack.pop_all()
        with after_the_lock:
            deployment.wait_until(lambda: deployment.n_committed() == deployment.sent)
            deployment.wait_until(lambda: bool(record.taken))
    assert record.refused
    assert set(record.published.values()) == {1}
    assert_counted_once(deployment)
