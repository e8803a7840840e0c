"""``metrics tail`` and ``objects tail`` on a real broker: what was committed, in order, and no more."""

import json
import threading
from dataclasses import asdict
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from stream_assoc.cli.exceptions import CommandError
from stream_assoc.cli.topic_reader import read_topic
from stream_assoc.metrics.record import AssociationMetrics
from stream_assoc.settings import load_settings
from stream_assoc.stream.outputs import OutputEncoder
from stream_assoc.stream.records import RecordCodec
from stream_assoc.stream.schemas import METRICS, METRICS_SCHEMA_ID, load_schema
from stream_assoc.stream.wire import header
from tests.apdb.builders import forced, table

pytestmark = pytest.mark.integration


def publish(bootstrap, topic, values, *, commit=True):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid4().hex})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_metrics_are_printed_from_the_beginning_up_to_the_limit(invoke, kafka_bootstrap, topic):
    records = [metrics_of(visit) for visit in (1, 2, 3)]
    codec = RecordCodec(load_schema(METRICS))
    publish(kafka_bootstrap, topic, [header(METRICS_SCHEMA_ID) + codec.write(asdict(record)) for record in records])
    printed = invoke(
        *("metrics", "tail", "--from-beginning", "--limit", 2, "--json"),
        f"--set=kafka.bootstrap_servers={kafka_bootstrap}",
        f"--set=kafka.metrics_topic={topic}",
    ).stdout.splitlines()
    assert [json.loads(line) for line in printed] == [asdict(record) for record in records[:2]]


def test_forced_sources_are_printed(invoke, kafka_bootstrap, topic):
    row = forced(7, 2**60 + 1, 2026010100012, 94, psfFlux=-1.5, psfFluxErr=0.5)
    publish(
        kafka_bootstrap,
        topic,
        [one.value for one in OutputEncoder().encode_forced_sources(table("DiaForcedSource", [row]))],
    )
    printed = invoke(
        *("forced-sources", "tail", "--from-beginning", "--limit", 1, "--json"),
        f"--set=kafka.bootstrap_servers={kafka_bootstrap}",
        f"--set=kafka.forced_sources_topic={topic}",
    ).stdout.splitlines()
    (record,) = map(json.loads, printed)
    assert {name: record[name] for name in row} == row


def test_aborted_messages_and_tombstones_are_passed_over(kafka_bootstrap, topic):
    publish(kafka_bootstrap, topic, [b"aborted"], commit=False)
    publish(kafka_bootstrap, topic, [None, b"committed"])
    kafka = load_settings(overrides={"kafka.bootstrap_servers": kafka_bootstrap}).kafka
    assert next(read_topic(kafka, topic, from_beginning=True)) == b"committed"


def test_without_from_beginning_only_what_comes_later_is_read(kafka_bootstrap, topic):
    publish(kafka_bootstrap, topic, [b"earlier"])
    kafka = load_settings(overrides={"kafka.bootstrap_servers": kafka_bootstrap}).kafka
    # Reading starts with the first `next`, so later messages are sent until one is seen.
    seen = threading.Event()

    def send_until_seen():
        while not seen.is_set():
            publish(kafka_bootstrap, topic, [b"later"])

    sender = threading.Thread(target=send_until_seen)
    sender.start()
    try:
        assert next(read_topic(kafka, topic, from_beginning=False)) == b"later"
    finally:
        seen.set()
        sender.join()


def test_missing_topic_is_told(kafka_bootstrap):
    kafka = load_settings(overrides={"kafka.bootstrap_servers": kafka_bootstrap}).kafka
    with pytest.raises(CommandError, match="there is no topic nowhere"):
        next(read_topic(kafka, "nowhere", from_beginning=True))


def metrics_of(visit):
    return AssociationMetrics(
        visit=visit,
        detector=1,
        band="r",
        midpointMjdTai=60000.0,
        timeProcessedMjdTai=60000.1,
        numDiaSources=0,
        numAssociatedDiaSources=0,
        numNewDiaObjects=0,
        numUpdatedDiaObjects=0,
        numUnassociatedDiaObjects=0,
        fracUpdatedDiaObjects=None,
        totalUnassociatedDiaObjects=0,
        numTotalSolarSystemObjects=0,
        numAssociatedSsObjects=0,
        numMarginalDiaSources=0,
        numDroppedDiaSources=0,
        numAmbiguousDiaSources=0,
        medianMargin=None,
        medianRaOffset=None,
        medianDecOffset=None,
        rmsSeparation=None,
        stageSeconds={},
        inputTopic=None,
        inputPartition=None,
        inputOffset=None,
    )
