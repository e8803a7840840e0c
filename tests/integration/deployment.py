"""A whole deployment on real servers: topics, database and key prefix of its own, and daemons in threads."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.dead_letters import is_note
from stream_assoc.messaging.avro.output_decoder import decode_forced_sources, decode_metrics, decode_objects
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.create import init
from stream_assoc.wiring.daemon import open_daemon
from tests.configured import configured

DEADLINE_SECONDS = 600.0
ANSWER_SECONDS = 30.0
"""How long one question to the broker may take before it is asked anew."""

SHORT_SESSION = {"session.timeout.ms": 2500, "heartbeat.interval.ms": 500}
"""Of a consumer: one that is silent for so long has its partitions taken away."""

STARTING = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._TIMED_OUT,
)
"""What a broker that has just started says of its groups, if it says anything."""


def of_a_start(error: KafkaException) -> bool:
    """Tell whether a broker that has just started says this."""
    cause = error.args[0]
    return isinstance(cause, KafkaError) and cause.code() in STARTING


@dataclass
class Deployment:
    """Settings of one isolated deployment, and what tests do with it."""

    settings: Settings
    encode: Callable[[Batch], bytes] = field(default_factory=lambda: BatchEncoder().encode)
    sent: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def send(self, batches: Sequence[Batch]) -> None:
        self.send_raw([OutputMessage(self.settings.kafka.input_topic, None, self.encode(b)) for b in batches])

    def send_raw(self, messages: Sequence[OutputMessage]) -> None:
        producer = PlainProducer(self.settings.kafka.producer_options())
        producer.send(messages)
        producer.flush()
        producer.close()
        self.sent += len(messages)

    def send_into(self, placed: Sequence[tuple[int, Batch]]) -> None:
        """Send batches at once, each to the partition it is given with."""
        producer = Producer(self.settings.kafka.producer_options())
        for partition, batch in placed:
            producer.produce(self.settings.kafka.input_topic, self.encode(batch), partition=partition)
        assert producer.flush(60.0) == 0
        self.sent += len(placed)

    @contextlib.contextmanager
    def daemon(self, settings: Settings | None = None) -> Iterator[threading.Thread]:
        """Run a daemon in a thread; ask it to stop at the end, and wait until it has."""
        stop = StopRequest(30.0)
        thread = threading.Thread(target=self._run, args=(settings or self.settings, stop), daemon=True)
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the daemon did not stop"

    def _run(self, settings: Settings, stop: StopRequest) -> None:
        try:
            with open_daemon(settings, Instruments(), stop) as daemon:
                daemon.run(stop)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            self.errors.append(error)

    def process_everything(self) -> None:
        """Run one daemon until every message sent is committed."""
        with self.daemon():
            self.wait_until(lambda: self.n_committed() >= self.sent)
        assert not self.errors, self.errors

    def wait_until(self, condition: Callable[[], bool], look_every_seconds: float = 0.05) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        pause = threading.Event()
        while not condition():
            assert not self.errors, self.errors
            assert time.monotonic() < deadline, "the condition did not come true in time"
            pause.wait(look_every_seconds)

    def n_committed(self) -> int:
        kafka = self.settings.kafka
        options = {**kafka.consumer_options(), "group.id": kafka.group_id}
        consumer = Consumer(options)
        try:
            partitions = [TopicPartition(kafka.input_topic, i) for i in range(kafka.partitions)]
            return sum(max(0, one.offset) for one in consumer.committed(partitions, timeout=ANSWER_SECONDS))
        except KafkaException as error:
            # A broker that has just started is still loading its groups.
            if not of_a_start(error):
                raise
            return 0
        finally:
            consumer.close()

    def n_working_members(self) -> int:
        """Return how many members of the group have partitions."""
        group_id = self.settings.kafka.group_id
        # One that has seen its broker crash may never answer again (librdkafka #4605): each question has a client.
        client = AdminClient(self.settings.kafka.client_options())
        try:
            # The library's stub says a dictionary of them.
            answer = client.describe_consumer_groups([group_id])[group_id].result(ANSWER_SECONDS)
            group = cast("ConsumerGroupDescription", answer)
        except TimeoutError:
            return 0
        except KafkaException as error:
            if not of_a_start(error):
                raise
            return 0
        return sum(bool(member.assignment.topic_partitions) for member in group.members)

    def read(self, topic: str) -> list[OutputMessage]:
        """Return every message that a read_committed subscriber sees."""
        options = {
            **self.settings.kafka.consumer_options(),
            "group.id": uuid4().hex,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        consumer = Consumer(options)
        seen: list[OutputMessage] = []
        unfinished = set(range(self.settings.kafka.partitions))
        try:
            consumer.assign([TopicPartition(topic, index, 0) for index in unfinished])
            while unfinished:
                for message in consumer.consume(1000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        seen.append(
                            OutputMessage(topic, message.key(), message.value(), tuple(message.headers() or ()))
                        )
                    else:
                        assert error.code() == KafkaError._PARTITION_EOF, error
                        unfinished.discard(message.partition())
        finally:
            consumer.close()
        return seen

    def metrics(self) -> list[AssociationMetrics]:
        schemas = registry_of(self.settings.kafka)
        return [decode_metrics(message.value, schemas) for message in self.read(self.settings.kafka.metrics_topic)]

    def objects(self) -> pa.RecordBatch:
        values = [message.value for message in self.read(self.settings.kafka.objects_topic)]
        return decode_objects(values, registry_of(self.settings.kafka))

    def forced_sources(self) -> pa.RecordBatch:
        values = [message.value for message in self.read(self.settings.kafka.forced_sources_topic)]
        return decode_forced_sources(values, registry_of(self.settings.kafka))

    def dead_letters(self) -> list[OutputMessage]:
        """Return the dead letters, without the notes of those that were sent again."""
        return [one for one in self.read(self.settings.kafka.dead_letter_topic) if not is_note(one.headers)]


def deploy(kafka_bootstrap: str, valkey_url: str, apdb_url: str, **sections: Mapping[str, object]) -> Deployment:
    """Return a deployment with its topics and tables made."""
    name = uuid4().hex
    kafka = {
        "bootstrap_servers": kafka_bootstrap,
        "group_id": f"group-{name}",
        "transactional_id": f"transactions-{name}",
        "input_topic": f"{name}.dia-sources",
        "objects_topic": f"{name}.dia-objects",
        "forced_sources_topic": f"{name}.dia-forced-sources",
        "metrics_topic": f"{name}.association-metrics",
        "dead_letter_topic": f"{name}.dlq",
        "next_visits_topic": f"{name}.next-visits",
        "alerts_topic": f"{name}.alerts",
        "partitions": 4,
        **sections.pop("kafka", {}),
    }
    settings = configured(
        kafka=kafka,
        redis={"url": valkey_url, "prefix": name, **sections.pop("redis", {})},
        apdb={"url": apdb_url, **sections.pop("apdb", {})},
        daemon={"poll_timeout_seconds": 0.2, **sections.pop("daemon", {})},
        **sections,
    )
    init(apdb_url)
    ensure_topics(settings.kafka)
    return Deployment(settings)
