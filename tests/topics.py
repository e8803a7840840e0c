"""The topics of tests: of any night's messages, none of which the broker's housekeeping may take."""

from uuid import uuid4

from confluent_kafka.admin import AdminClient, NewTopic

KEPT = {"retention.ms": "-1", "retention.bytes": "-1"}
"""Messages with the times of past years are older than any other retention."""


def make_topics(bootstrap: str, names: list[str], partitions: int = 1, **config: str) -> None:
    """Create topics that keep what they are given; ``max_message_bytes="1"`` stands for ``max.message.bytes=1``."""
    settings = KEPT | {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, partitions, 1, config=settings) for name in names]).values():
        made.result(30)


def new_topic(bootstrap: str, partitions: int = 1, **config: str) -> str:
    """Create a topic that nothing else uses, and return its name."""
    name = f"test-{uuid4().hex}"
    make_topics(bootstrap, [name], partitions, **config)
    return name
