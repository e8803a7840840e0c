"""A wrong address is named while it is waited for, and in the error at the end."""

import threading

import pytest

from stream_assoc.messaging.kafka import client, topic_reader
from stream_assoc.messaging.kafka import topics as kafka_topics
from stream_assoc.messaging.kafka.client import kafka_named, told_when_slow
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader
from stream_assoc.messaging.kafka.topics import ensure_topics
from stream_assoc.settings.kafka import KafkaSettings

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1", librdkafka={"log_level": 0})


def test_a_slow_answer_is_told_within_a_second_while_it_is_waited_for() -> None:
    told = threading.Event()
    with told_when_slow(told.set):
        assert told.wait(30.0)
    assert client.SLOW_SECONDS < 1.0


def test_a_quick_answer_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SLOW_SECONDS", 3600.0)
    told = threading.Event()
    with told_when_slow(told.set):
        pass
    assert not told.is_set()


def test_a_wrong_address_is_named_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_topics, "REQUEST_TIMEOUT_SECONDS", 2.0)
    lines: list[str] = []
    with (
        pytest.raises(KafkaUnavailableError, match=r"Kafka at 127\.0\.0\.1:1: .*kafka\.bootstrap_servers"),
        kafka_named(NOBODY, lines.append),
    ):
        ensure_topics(NOBODY)
    assert len(lines) == 1
    assert lines[0].startswith("Waiting for Kafka at 127.0.0.1:1 (check kafka.bootstrap_servers")


def test_so_it_is_by_everything_that_reads_a_topic(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(topic_reader, "ANSWER_SECONDS", 2.0)
    with pytest.raises(KafkaUnavailableError, match=r"Kafka at 127\.0\.0\.1:1: .*kafka\.bootstrap_servers"):
        TopicReader(NOBODY, Reading("dia-objects"))
    assert "waiting for Kafka at 127.0.0.1:1; check kafka.bootstrap_servers" in caplog.text
