import uuid

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from stream_assoc.replay.messages import BatchMessages
from stream_assoc.replay.pacing import at_once
from stream_assoc.replay.plan import duplicated
from stream_assoc.replay.runner import Replayer
from stream_assoc.replay.steps import steps_of
from stream_assoc.simulation.config import SimulationConfig
from stream_assoc.simulation.night import simulate
from stream_assoc.stream.kafka_plain_producer import PlainProducer


@pytest.mark.integration
def test_every_message_of_a_replay_is_on_the_topic_in_order(kafka_bootstrap):
    topic = f"replay-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    messages = BatchMessages(topic)
    events = [messages.event(one.batch) for one in simulate(SimulationConfig(n_visits=5, n_detectors=4))]
    plan = list(at_once(duplicated(steps_of(events), 0.5, seed=1)))
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap})
    report = Replayer([producer]).run(plan)
    producer.close()
    assert report.succeeded
    assert report.n_confirmed == len(plan) > len(events)
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = []
    while len(read) < len(plan):
        got = consumer.consume(100, timeout=60)
        assert got, f"only {len(read)} of {len(plan)} messages are on the topic"
        read += [(message.key(), message.value()) for message in got]
    consumer.close()
    assert read == [(due.step.message.key, due.step.message.value) for due in plan]
