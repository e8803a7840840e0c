"""Settings of the Kafka client, of the topics and of the Schema Registry."""

import itertools
import socket
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FilePath, SecretStr, field_validator, model_validator

from stream_assoc.settings.kafka_connection import KafkaConnectionSettings
from stream_assoc.settings.secrets import SecretUrl, redacted
from stream_assoc.settings.section import require_pair


def _can_be_ours(topic: str) -> str:
    if topic in {".", ".."} or topic.startswith("__"):
        raise ValueError("names like this are Kafka's own")
    return topic


Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$"), AfterValidator(_can_be_ours)]


class KafkaSettings(KafkaConnectionSettings):
    """Brokers, encryption, consumer group, topics, Schema Registry, and any further librdkafka option."""

    group_id: str = Field(
        default="stream-assoc", min_length=1, description="Consumer group of the daemons that share the input."
    )
    group_instance_id: str | None = Field(
        default=None,
        description="Static membership: a name for each daemon that stays the same over restarts, so that a restart "
        "does not rebalance the group. Unset: dynamic membership.",
    )
    leave_group_on_stop: bool = Field(
        default=False,
        description="Whether a daemon with a group_instance_id that is asked to stop leaves the group, so that "
        "others have its partitions at once: for daemons that an autoscaler takes away. Otherwise its place is kept "
        "for `session.timeout.ms`, 45 s by default. Without a group_instance_id it always leaves.",
    )
    transactional_id: str | None = Field(
        default=None,
        description="Name of the producer's transactions, different for each running daemon. Unset: group_id with "
        "group_instance_id, or with the host name. Two daemons on one host must set one or the other.",
    )
    input_topic: Topic = Field(default="dia-sources", description="Topic of the DIASource batches.")
    objects_topic: Topic = Field(
        default="dia-objects", description="Topic of updated DIAObjects, keyed by diaObjectId."
    )
    forced_sources_topic: Topic = Field(
        default="dia-forced-sources",
        description="Topic of forced sources, keyed by diaObjectId. Written where `images.roots` is set.",
    )
    metrics_topic: Topic = Field(default="association-metrics", description="Topic of the metrics of each batch.")
    dead_letter_topic: Topic = Field(
        default="dia-sources.dlq", description="Topic of the messages that could not be processed."
    )
    next_visits_topic: Topic = Field(
        default="next-visits", description="Topic of announced visits, whose sky is warmed in the cache ([warming])."
    )
    alerts_topic: Topic = Field(
        default="alerts", description="Topic of the alert packets that `stream-assoc alerts` makes ([alerts])."
    )
    partitions: int = Field(
        default=8, ge=1, le=10_000, description="Partitions of a topic that `topics init` creates."
    )
    replication_factor: int = Field(
        default=1, ge=1, le=32, description="Replicas of a topic that `topics init` creates."
    )
    min_insync_replicas: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="`min.insync.replicas` of a topic that `topics init` creates: brokers that must have a message "
        "before it is acknowledged. Unset: more than half of replication_factor, such as 2 of 3.",
    )
    max_message_bytes: int = Field(
        default=64 * 1024**2,
        ge=1024,
        # librdkafka writes no message above 1,000,000,000 bytes, and a dead letter is larger than its message.
        le=900 * 1024**2,
        description="Largest message processed or written, bytes; also set on topics that are created. A larger "
        "one becomes a dead letter.",
    )
    schema_registry_url: SecretUrl | None = Field(
        default=None,
        description="Confluent Schema Registry, http(s)://[user:password@]host:port. Unset: schema ids are our own.",
    )
    schema_registry_user: str | None = Field(
        default=None, min_length=1, description="User of the Schema Registry, instead of one in the URL."
    )
    schema_registry_password: SecretStr | None = Field(
        default=None, min_length=1, description="That user's password, instead of one in the URL."
    )
    schema_registry_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the registry's certificate. Unset: the system's.",
    )

    @field_validator("schema_registry_url")
    @classmethod
    def _is_http(cls, url: SecretUrl | None) -> SecretUrl | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError(f"{redacted(url.get_secret_value())} does not begin with http:// or https://")
        return url

    @model_validator(mode="after")
    def _registry_is_complete(self) -> Self:
        require_pair(self, "kafka", "schema_registry_user", "schema_registry_password")
        url = None if self.schema_registry_url is None else self.schema_registry_url.get_secret_value()
        if self.schema_registry_user is not None:
            if url is None:
                raise ValueError("kafka.schema_registry_user needs kafka.schema_registry_url")
            if "@" in url:
                raise ValueError("kafka.schema_registry_url names a user, and so does kafka.schema_registry_user")
        if self.schema_registry_ca_file is not None and not (url or "").startswith("https://"):
            raise ValueError(
                "kafka.schema_registry_ca_file needs a kafka.schema_registry_url that begins with https://"
            )
        return self

    @model_validator(mode="after")
    def _enough_replicas(self) -> Self:
        if self.min_insync_replicas is not None and self.min_insync_replicas > self.replication_factor:
            raise ValueError(
                f"kafka.min_insync_replicas ({self.min_insync_replicas}) is above kafka.replication_factor "
                f"({self.replication_factor}), so that nothing could be written: lower it, or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        topics = [name for name in type(self).model_fields if name.endswith("_topic")]
        # Kafka takes a dot and an underscore in a topic's name for the same, and refuses to create the second.
        kafka_name = {name: getattr(self, name).replace(".", "_") for name in topics}
        same = [
            f"kafka.{one} and kafka.{other} are one topic, {getattr(self, other)}"
            for one, other in itertools.combinations(topics, 2)
            if kafka_name[one] == kafka_name[other]
        ]
        if same:
            raise ValueError(f"{'; '.join(same)}: give each a topic of its own, or the daemon reads what it writes")
        return self

    @property
    def effective_min_insync_replicas(self) -> int:
        """The ``min.insync.replicas`` in force: the one set, or more than half of the replicas."""
        return self.min_insync_replicas or self.replication_factor // 2 + 1

    @property
    def effective_transactional_id(self) -> str:
        """The transactional id in force: the one set, or the one derived."""
        return self.transactional_id or f"{self.group_id}.{self.group_instance_id or socket.gethostname()}"
