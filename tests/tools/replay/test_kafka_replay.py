import pytest

from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.replay.options import at_once
from stream_assoc.tools.replay.plan import duplicated, steps_of
from stream_assoc.tools.replay.runner import Replayer
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.night import simulate
from tests.topics import new_topic


@pytest.mark.integration
def test_every_message_of_a_replay_is_on_the_topic_in_order(kafka_bootstrap: str) -> None:
    topic = new_topic(kafka_bootstrap)
    messages = BatchMessages(topic)
    events = [messages.event(one.batch) for one in simulate(SimulationConfig(n_visits=5, n_detectors=4))]
    plan = list(at_once(duplicated(steps_of(events), 0.5, seed=1)))
    producer = PlainProducer({"bootstrap.servers": kafka_bootstrap})
    report = Replayer([producer]).run(plan)
    producer.close()
    assert report.succeeded
    assert report.n_confirmed == len(plan) > len(events)
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap)
    read = []
    with TopicReader(kafka, Reading(topic, "beginning", until_end=True)) as reader:
        while not reader.at_end:
            read += [(message.key, message.value) for message in reader.read(1.0)]
    assert read == [(due.step.message.key, due.step.message.value) for due in plan]
