from uuid import uuid4

import pytest

from tests.apps.cli.conftest import nothing_configured
from tests.configured import configured
from tests.topics import make_topics

__all__ = ["nothing_configured", "topics"]


@pytest.fixture
def topics(kafka_bootstrap: str):
    """Settings whose output topics are this test's own, of two partitions each."""
    name = uuid4().hex
    kafka = configured(
        kafka={
            "bootstrap_servers": kafka_bootstrap,
            "metrics_topic": f"{name}.metrics",
            "objects_topic": f"{name}.objects",
            "dead_letter_topic": f"{name}.dlq",
        }
    )
    wanted = [kafka.kafka.metrics_topic, kafka.kafka.objects_topic, kafka.kafka.dead_letter_topic]
    make_topics(kafka_bootstrap, wanted, partitions=2)
    return kafka
