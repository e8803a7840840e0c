"""How a table's batches become messages."""

from typing import TYPE_CHECKING

from stream_assoc.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    from stream_assoc.replay.messages import BatchMessages
    from stream_assoc.stream.batch_encoder import BatchEncoder


def messages_to(topic: str, kafka: KafkaSettings, *, register: bool = True) -> "BatchMessages":
    """Return how a table's batches become messages of a topic."""
    from stream_assoc.replay.messages import BatchMessages
    from stream_assoc.stream.batch_encoder import BatchEncoder

    return BatchMessages(topic, batch_encoder(topic, kafka) if register else BatchEncoder())


def batch_encoder(topic: str, kafka: KafkaSettings) -> "BatchEncoder":
    """Return the encoder of a table's batches; with a Schema Registry, register their schema there first."""
    from stream_assoc.stream.batch_encoder import BatchEncoder
    from stream_assoc.stream.registry import registry_of
    from stream_assoc.stream.schemas import BATCH, load_schema

    registry = registry_of(kafka)
    if registry is None:
        return BatchEncoder()
    return BatchEncoder(registry.register(f"{topic}-value", load_schema(BATCH)))
