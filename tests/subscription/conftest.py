import os
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_assoc.settings import Settings


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    """No variable and no file of whoever runs the tests decides them."""
    for name in [name for name in os.environ if name.upper().startswith("STREAM_ASSOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def topics(kafka_bootstrap):
    """Settings whose output topics are this test's own, of two partitions each."""
    name = uuid4().hex
    kafka = Settings(
        kafka={
            "bootstrap_servers": kafka_bootstrap,
            "metrics_topic": f"{name}.metrics",
            "objects_topic": f"{name}.objects",
            "dead_letter_topic": f"{name}.dlq",
        }
    )
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    wanted = [kafka.kafka.metrics_topic, kafka.kafka.objects_topic, kafka.kafka.dead_letter_topic]
    for made in admin.create_topics([NewTopic(topic, 2, 1) for topic in wanted]).values():
        made.result(30)
    return kafka
