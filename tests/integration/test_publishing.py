"""What subscribers get is complete and in order: whatever becomes of the input, and whoever publishes it."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.kafka.publisher import KafkaPublisher
from stream_assoc.messaging.marks import NO_MARKS, Marks
from stream_assoc.service.daemon import outbox
from stream_assoc.service.daemon.retry import RetryLoop
from stream_assoc.settings import Settings
from tests.contents import LEDGER, OUTBOX, columns, contents, n_rows
from tests.integration.deployment import Deployment
from tests.order import not_as_stored, out_of_order
from tests.pipeline.skies import batch, night, square

pytestmark = pytest.mark.integration

N_LOST, N_LATER = 3, 5
RA, DEC = 150.0, 2.0


class DeathError(Exception):
    """No error of the package: nothing catches it, and the daemon dies."""


def url_of(deployment: Deployment) -> str:
    return deployment.settings.apdb.url.get_secret_value()


def outbox_of(deployment: Deployment) -> list[object]:
    return list(contents(url_of(deployment), OUTBOX)[OUTBOX])


def die_before_publishing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a daemon count what was sent, and die before anybody hears of it."""

    def dying(*_arguments: object) -> None:
        raise DeathError

    with monkeypatch.context() as patched:
        patched.setattr(KafkaPublisher, "publish", dying)
        with deployment.daemon() as thread:
            thread.join(60.0)
    assert [type(error) for error in deployment.errors] == [DeathError]
    deployment.errors.clear()
    assert n_rows(url_of(deployment), LEDGER) == N_LOST


def assert_objects_are_those_of_the_sky(deployment: Deployment) -> None:
    """Check that each object's versions came in order, and that the last is the one that is stored."""
    messages = deployment.read(deployment.settings.kafka.objects_topic)
    assert out_of_order(messages) == []
    assert not_as_stored(messages, url_of(deployment)) == []


def admin_of(deployment: Deployment) -> AdminClient:
    return AdminClient(deployment.settings.kafka.client_options())


def take_by_retention(deployment: Deployment) -> None:
    kafka = deployment.settings.kafka
    ends = [TopicPartition(kafka.input_topic, number, -1) for number in range(kafka.partitions)]
    admin = admin_of(deployment)
    for future in admin.delete_records(ends).values():
        future.result()


def take_by_making_the_topic_anew(deployment: Deployment) -> None:
    kafka = deployment.settings.kafka
    admin = admin_of(deployment)
    admin.delete_topics([kafka.input_topic])[kafka.input_topic].result()
    deployment.wait_until(lambda: kafka.input_topic not in admin.list_topics(timeout=10).topics)
    # With fewer partitions, as may happen.
    admin.create_topics([NewTopic(kafka.input_topic, 1, 1)])[kafka.input_topic].result()
    deployment.wait_until(lambda: kafka.input_topic in admin.list_topics(timeout=10).topics)


def take_by_moving_the_offsets(deployment: Deployment) -> None:
    kafka = deployment.settings.kafka
    moved = []
    options = {**kafka.client_options(), "group.id": "looks-only"}
    consumer = Consumer(options)
    try:
        for number in range(kafka.partitions):
            _, end = consumer.get_watermark_offsets(TopicPartition(kafka.input_topic, number), timeout=10)
            moved.append(TopicPartition(kafka.input_topic, number, end))
    finally:
        consumer.close()
    asked = [ConsumerGroupTopicPartitions(kafka.group_id, moved)]
    admin = admin_of(deployment)
    admin.alter_consumer_group_offsets(asked)[kafka.group_id].result()


def start_until_settled(deployment: Deployment, settings: Settings | None = None) -> None:
    """Run a daemon until all that was ever sent has counted and nothing waits in the outbox."""
    with deployment.daemon(settings):
        deployment.wait_until(lambda: n_rows(url_of(deployment), LEDGER) == N_LOST + N_LATER)
        deployment.wait_until(lambda: outbox_of(deployment) == [])


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look through the outbox more often than a daemon that has all night."""
    monkeypatch.setattr(outbox, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(outbox, "ADOPT_SECONDS", 0.1)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("take", [take_by_retention, take_by_making_the_topic_anew, take_by_moving_the_offsets])
def test_what_has_counted_is_published_although_its_messages_do_not_come_again(
    deployed_on_sqlite: Callable[..., Deployment],
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Deployment], None],
) -> None:
    deployment = deployed_on_sqlite(kafka={"partitions": 2})
    deployment.send_into([(1, one) for one in night()[:N_LOST]])
    die_before_publishing(deployment, monkeypatch)
    take(deployment)
    deployment.send(night()[N_LOST : N_LOST + N_LATER])
    start_until_settled(deployment)
    start_until_settled(deployment)
    expected = sorted(one.id for one in night()[: N_LOST + N_LATER])
    assert sorted((one.visit, one.detector) for one in deployment.metrics()) == expected
    assert len(deployment.objects()) == n_rows(url_of(deployment), "DiaObject")
    assert_objects_are_those_of_the_sky(deployment)


@pytest.mark.usefixtures("eager")
def test_what_has_counted_is_published_although_the_topic_has_another_name(
    deployed_on_sqlite: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed_on_sqlite(kafka={"partitions": 2})
    kafka = deployment.settings.kafka
    deployment.send_into([(1, one) for one in night()[:N_LOST]])
    die_before_publishing(deployment, monkeypatch)
    renamed = kafka.model_copy(update={"input_topic": f"{kafka.input_topic}-2"})
    admin = admin_of(deployment)
    admin.create_topics([NewTopic(renamed.input_topic, 2, 1)])[renamed.input_topic].result()
    elsewhere = Deployment(deployment.settings.model_copy(update={"kafka": renamed}))
    elsewhere.send(night()[N_LOST : N_LOST + N_LATER])
    start_until_settled(elsewhere)
    expected = sorted(one.id for one in night()[: N_LOST + N_LATER])
    assert sorted((one.visit, one.detector) for one in elsewhere.metrics()) == expected


@pytest.mark.usefixtures("eager")
def test_what_was_published_is_not_published_again_although_nothing_but_the_outputs_tells(
    deployed_on_sqlite: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed_on_sqlite(kafka={"partitions": 2})
    deployment.send_into([(1, one) for one in night()[:N_LOST]])
    publish = KafkaPublisher.publish

    def published_and_dying(*arguments: Any) -> None:
        publish(*arguments)
        raise DeathError

    with monkeypatch.context() as patched:
        patched.setattr(KafkaPublisher, "publish", published_and_dying)
        with deployment.daemon() as thread:
            thread.join(60.0)
    deployment.errors.clear()
    assert len(outbox_of(deployment)) == N_LOST
    # The offsets stay where they are, and their marks go.
    take_by_moving_the_offsets(deployment)
    deployment.send(night()[N_LOST : N_LOST + N_LATER])
    start_until_settled(deployment)
    expected = sorted(one.id for one in night()[: N_LOST + N_LATER])
    assert sorted((one.visit, one.detector) for one in deployment.metrics()) == expected


class Meeting:
    """Two daemons, of which the first to publish is held until the other has come to the same star.

    Parameters
    ----------
    monkeypatch : `pytest.MonkeyPatch`
        Holds them.
    dies : `bool`
        Whether the first dies then.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, dies: bool) -> None:
        self.first_is_held = threading.Event()
        self.second_has_come = threading.Event()
        self._turn = threading.Lock()
        publish, wait_for_others = KafkaPublisher.publish, RetryLoop.wait_for_others

        def held(
            publisher: KafkaPublisher,
            messages: Sequence[OutputMessage],
            consumed: Sequence[InputPosition],
            marks: Marks = NO_MARKS,
        ) -> None:
            if self._turn.acquire(blocking=False):
                self.first_is_held.set()
                assert self.second_has_come.wait(60.0)
                if dies:
                    raise DeathError
                publish(publisher, messages, consumed, marks)
            else:
                publish(publisher, messages, consumed, marks)
                self.second_has_come.set()

        def seen(retry_loop: RetryLoop, seconds: float, micro_batch: Sequence[InputPosition]) -> None:
            self.second_has_come.set()
            wait_for_others(retry_loop, seconds, micro_batch)

        monkeypatch.setattr(KafkaPublisher, "publish", held)
        monkeypatch.setattr(RetryLoop, "wait_for_others", seen)


@pytest.mark.parametrize("dies", [False, True])
def test_versions_of_an_object_are_published_in_order_by_two_daemons(
    deployed: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    deployment = deployed(kafka={"partitions": 2})
    kafka = deployment.settings.kafka
    other = deployment.settings.model_copy(
        update={"kafka": kafka.model_copy(update={"transactional_id": f"{kafka.transactional_id}-2"})}
    )
    visits = [batch(visit, [RA], [DEC], footprint=square(RA, DEC)) for visit in (1, 2, 3)]
    deployment.send_into([(0, visits[0])])
    deployment.process_everything()
    meeting = Meeting(monkeypatch, dies=dies)
    with deployment.daemon(), deployment.daemon(other):
        deployment.wait_until(lambda: deployment.n_working_members() == 2)
        deployment.send_into([(0, visits[1])])
        deployment.wait_until(meeting.first_is_held.is_set)
        deployment.send_into([(1, visits[2])])
        # Where the first dies, the other gets its partition while it waits for it.
        watched = Deployment(deployment.settings)
        watched.wait_until(lambda: watched.n_committed() >= len(visits))
    assert_objects_are_those_of_the_sky(deployment)
    last = deployment.objects().column("nDiaSources").to_pylist()
    assert last == [1, 2, 3]
    assert columns(url_of(deployment), "DiaObjectLast", "nDiaSources") == [(3,)]
    assert outbox_of(deployment) == []
