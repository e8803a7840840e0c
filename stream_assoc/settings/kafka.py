"""Settings of the Kafka client and of the topics."""

import socket
from typing import Annotated, Final

from pydantic import Field, field_validator

from stream_assoc.settings.secrets import ClientOptions, SecretUrl, mask_url, reveal
from stream_assoc.settings.section import Section

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]

RESERVED_OPTIONS: Final = {
    "bootstrap.servers": "set kafka.bootstrap_servers instead",
    "group.id": "set kafka.group_id instead",
    "group.instance.id": "set kafka.group_instance_id instead",
    "transactional.id": "set kafka.transactional_id instead",
    "enable.auto.commit": "offsets are committed with the outputs, in one transaction",
    "enable.auto.offset.store": "offsets are committed with the outputs, in one transaction",
    "enable.idempotence": "a transactional producer is always idempotent",
    "isolation.level": "inputs are always read_committed",
}
"""librdkafka keys that cannot be passed through: they have a setting, or exactly-once stands on their value."""


class KafkaSettings(Section):
    """Brokers, consumer group, topics, and any further librdkafka option."""

    bootstrap_servers: str = Field(
        default="localhost:9092", min_length=1, description="Brokers to begin with, comma-separated host:port."
    )
    group_id: str = Field(
        default="stream-assoc", min_length=1, description="Consumer group of the daemons that share the work."
    )
    group_instance_id: str | None = Field(
        default=None,
        description="Static membership: a name of its own for each daemon, kept over restarts, so that a restart "
        "does not rebalance the group. Unset: dynamic membership.",
    )
    transactional_id: str | None = Field(
        default=None,
        description="Name of the producer's transactions, one of its own for each running daemon. Unset: group_id "
        "with group_instance_id, or with the host name; two daemons on one host must set one or the other.",
    )
    input_topic: Topic = Field(default="dia-sources", description="Topic of the DIASource batches.")
    objects_topic: Topic = Field(
        default="dia-objects", description="Topic of updated DIAObjects, keyed by diaObjectId."
    )
    metrics_topic: Topic = Field(default="association-metrics", description="Topic of the metrics of each batch.")
    dead_letter_topic: Topic = Field(
        default="dia-sources.dlq", description="Topic of the messages that could not be processed."
    )
    partitions: int = Field(
        default=8, ge=1, le=10_000, description="Partitions of a topic that `topics init` creates."
    )
    replication_factor: int = Field(
        default=1, ge=1, le=32, description="Replicas of a topic that `topics init` creates."
    )
    max_message_bytes: int = Field(
        default=64 * 1024**2,
        ge=1024,
        description="Largest message read or written, bytes; also set on topics that are created.",
    )
    schema_registry_url: SecretUrl | None = Field(
        default=None,
        description="Confluent Schema Registry, http(s)://[user:password@]host:port. Unset: schema ids are Rubin's.",
    )
    librdkafka: ClientOptions = Field(
        default_factory=dict,
        description='Any librdkafka option for every client, by its own name, such as `"security.protocol"`. In the '
        "environment underscores stand for the dots: `STREAM_ASSOC_KAFKA__LIBRDKAFKA__SECURITY_PROTOCOL`.",
    )
    librdkafka_consumer: ClientOptions = Field(
        default_factory=dict, description="librdkafka options for consumers only."
    )
    librdkafka_producer: ClientOptions = Field(
        default_factory=dict, description="librdkafka options for producers only."
    )

    @field_validator("schema_registry_url")
    @classmethod
    def _is_http(cls, url: SecretUrl | None) -> SecretUrl | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError(f"{mask_url(url.get_secret_value())} does not begin with http:// or https://")
        return url

    @field_validator("librdkafka", "librdkafka_consumer", "librdkafka_producer")
    @classmethod
    def _leaves_reserved_alone(cls, options: ClientOptions) -> ClientOptions:
        for key in options:
            if key in RESERVED_OPTIONS:
                raise ValueError(f"{key} cannot be passed through: {RESERVED_OPTIONS[key]}")
        return options

    @property
    def effective_transactional_id(self) -> str:
        """The transactional id in force: the one set, or the one derived."""
        return self.transactional_id or f"{self.group_id}.{self.group_instance_id or socket.gethostname()}"

    def client_options(self) -> dict[str, str | bool | int | float]:
        """Return what every client is made with, secrets in plain text."""
        return {"bootstrap.servers": self.bootstrap_servers, **reveal(self.librdkafka)}

    def consumer_options(self) -> dict[str, str | bool | int | float]:
        """Return the user's options of a consumer; group and isolation are the caller's."""
        return {**self.client_options(), **reveal(self.librdkafka_consumer)}

    def producer_options(self) -> dict[str, str | bool | int | float]:
        """Return the user's options of a producer; the transactional id is the caller's."""
        return {**self.client_options(), **reveal(self.librdkafka_producer)}
