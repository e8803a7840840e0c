"""The topics of a daemon, and what they must be like."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic, ResourceType, TopicMetadata

from stream_assoc.messaging.kafka.client import FRAMING_BYTES, LOGGER, Options, common_options
from stream_assoc.messaging.kafka.errors import KafkaUnavailableError, error_of, translate
from stream_assoc.messaging.kafka.replicas import MIN_INSYNC, cluster_losses, replica_losses

REQUEST_TIMEOUT_SECONDS: Final = 30.0

POLL_INTERVAL_SECONDS: Final = 0.05

DEAD_LETTER_RETENTION_MS: Final = 365 * 24 * 3600 * 1000
"""A dead letter waits for a person, who may be on leave."""


APPEND_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
"""Lets messages age from when they are written, whatever time they tell of."""

KEEPS_UNREAD: Final = {"cleanup.policy": "delete", **APPEND_TIME}
"""No newer message takes the place of an older one of its key, read or not."""

KEEPS_LATEST: Final = {"cleanup.policy": "compact", **APPEND_TIME}
"""The newest message of each key stays for ever."""

LEAST_RETENTION_MS: Final = 24 * 3600 * 1000
"""A daemon that is down over a night must find what came meanwhile."""

_FOR_EVER: Final = -1
_ANY_AGE: Final = 2**63 - 1


class TopicSettings(Protocol):
    """The part of the settings that names the topics."""

    @property
    def input_topic(self) -> str:
        """Topic of the batches."""

    @property
    def objects_topic(self) -> str:
        """Topic of updated objects."""

    @property
    def forced_sources_topic(self) -> str:
        """Topic of forced sources."""

    @property
    def metrics_topic(self) -> str:
        """Topic of the metrics of each batch."""

    @property
    def dead_letter_topic(self) -> str:
        """Topic of messages that could not be processed."""

    @property
    def next_visits_topic(self) -> str:
        """Topic of announced visits."""

    @property
    def alerts_topic(self) -> str:
        """Topic of alert packets."""

    @property
    def partitions(self) -> int:
        """Partitions of each."""

    @property
    def replication_factor(self) -> int:
        """Replicas of each."""

    @property
    def effective_min_insync_replicas(self) -> int:
        """Replicas that must have a message before it is acknowledged."""

    @property
    def max_message_bytes(self) -> int:
        """Largest input message."""

    def client_options(self) -> dict[str, str | bool | int | float]:
        """Return librdkafka's options of every client."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic must be like.

    Attributes
    ----------
    name : `str`
    partitions, replication_factor : `int`
    config : `Mapping` [`str`, `str`]
        Kafka's topic configurations that are not left to the broker's defaults.
    """

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


def topic_specs(settings: TopicSettings) -> list[TopicSpec]:
    """Return the topics that a daemon reads and writes.

    The objects topic is compacted: keyed by diaObjectId, it becomes "the sky
    now". Every topic ages by the time of writing, so that a night of last year
    is kept as long as one of today. A dead letter carries the input's bytes and headers of its own, so its
    topic takes more than the input's.
    """
    size = settings.max_message_bytes
    partitions, replicas = settings.partitions, settings.replication_factor
    safe = {MIN_INSYNC: str(settings.effective_min_insync_replicas)}
    kept = {**KEEPS_UNREAD, **safe}
    letters = {"max.message.bytes": str(size + FRAMING_BYTES), "retention.ms": str(DEAD_LETTER_RETENTION_MS)}
    return [
        TopicSpec(settings.input_topic, partitions, replicas, {**kept, "max.message.bytes": str(size)}),
        TopicSpec(settings.objects_topic, partitions, replicas, {**KEEPS_LATEST, **safe}),
        TopicSpec(settings.forced_sources_topic, partitions, replicas, kept),
        TopicSpec(settings.metrics_topic, partitions, replicas, kept),
        TopicSpec(settings.dead_letter_topic, partitions, replicas, {**kept, **letters}),
        TopicSpec(settings.next_visits_topic, partitions, replicas, kept),
        TopicSpec(settings.alerts_topic, partitions, replicas, {**kept, "max.message.bytes": str(size)}),
    ]


def ensure_topics(settings: TopicSettings) -> list[str]:
    """Create the topics that do not exist; those that do are left as they are.

    How existing ones differ from what they should be is logged as warnings; see
    `topic_differences`.

    When this returns the brokers know the topics: they can be written to.

    Returns
    -------
    created : `list` [`str`]
        Names of the topics that were created.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers.
    KafkaConfigurationError
        If the cluster does not let us, or cannot: fewer brokers than ``kafka.replication_factor``.
    """
    admin = admin_client(settings.client_options())
    specs = topic_specs(settings)
    created = [spec.name for spec in specs if _create(admin, spec)]
    _wait_until_known(admin, created)
    for line in [*_differences(admin, [spec for spec in specs if spec.name not in created]), *topic_losses(settings)]:
        LOGGER.warning("%s", line)
    return created


def topic_differences(settings: TopicSettings) -> list[str]:
    """Return, one line each, how the topics differ from what they should be.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers.
    """
    return _differences(admin_client(settings.client_options()), topic_specs(settings))


def topic_losses(settings: TopicSettings) -> list[str]:
    """Return, one line each, how the topics that exist would lose messages that should be kept.

    Raises
    ------
    KafkaUnavailableError
        If no broker answers.
    KafkaConfigurationError
        If this user may not see how topics are configured.
    """
    admin = admin_client(settings.client_options())
    cluster = _cluster(admin)
    specs = [spec for spec in topic_specs(settings) if spec.name in cluster.topics]
    configs = _configs(admin, specs)
    lines = cluster_losses(cluster, settings.replication_factor)
    for spec in specs:
        config = configs[spec.name]
        lines += losses(spec.name, config, compacted=spec.config["cleanup.policy"] == "compact")
        lines += replica_losses(cluster.topics[spec.name], config, spec.replication_factor)
    letters = settings.dead_letter_topic
    least = settings.max_message_bytes + FRAMING_BYTES
    if letters in configs and int(configs[letters]["max.message.bytes"] or 0) < least:
        lines.append(f"{letters}: has no room for the largest dead letter; set max.message.bytes={least}")
    return lines


def admin_client(options: Options) -> AdminClient:
    """Return a client that asks about topics.

    Raises
    ------
    KafkaConfigurationError
        If an option is unknown or has an impossible value.
    """
    try:
        return AdminClient(common_options(options))
    except KafkaException as exception:
        raise translate(error_of(exception), "connecting to Kafka") from exception


def _create(admin: AdminClient, spec: TopicSpec) -> bool:
    """Create the topic and return whether it was not there before."""
    topic = NewTopic(spec.name, spec.partitions, spec.replication_factor, config=dict(spec.config))
    future = admin.create_topics([topic], request_timeout=REQUEST_TIMEOUT_SECONDS)[spec.name]
    try:
        future.result()
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise translate(error, f"creating topic {spec.name}") from exception
    return True


def _wait_until_known(admin: AdminClient, names: Collection[str]) -> None:
    """Wait until a created topic has spread from the controller to the broker that answers us."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_SECONDS
    while missing := set(names) - _existing(admin).keys():
        if time.monotonic() > deadline:
            raise KafkaUnavailableError(f"no broker knows {', '.join(sorted(missing))} though it was created")
        time.sleep(POLL_INTERVAL_SECONDS)


def _existing(admin: AdminClient) -> dict[str, TopicMetadata]:
    return _cluster(admin).topics


def _cluster(admin: AdminClient) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=REQUEST_TIMEOUT_SECONDS)
    except KafkaException as exception:
        raise translate(error_of(exception), "listing topics") from exception


def _differences(admin: AdminClient, specs: list[TopicSpec]) -> list[str]:
    topics = _existing(admin)
    present = [spec for spec in specs if spec.name in topics]
    configs = _configs(admin, present)
    lines = [f"{spec.name}: does not exist" for spec in specs if spec.name not in topics]
    for spec in present:
        if (actual := len(topics[spec.name].partitions)) != spec.partitions:
            lines.append(f"{spec.name}: {actual} partitions, not {spec.partitions}")
        for name, wanted in spec.config.items():
            if (value := configs[spec.name][name]) != wanted:
                lines.append(f"{spec.name}: {name} is {value}, not {wanted}")
    return lines


def _configs(admin: AdminClient, specs: list[TopicSpec]) -> dict[str, dict[str, str | None]]:
    """Return the configuration of each topic, the broker's defaults included; the topics exist."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_SECONDS
    while True:
        try:
            return _described(admin, specs)
        except KafkaException as exception:
            error = error_of(exception)
            # Any broker may be asked, and a new topic spreads to one after the other.
            if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART or time.monotonic() > deadline:
                raise translate(error, "asking how topics are configured") from exception
        time.sleep(POLL_INTERVAL_SECONDS)


def _described(admin: AdminClient, specs: list[TopicSpec]) -> dict[str, dict[str, str | None]]:
    resources = [ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs]
    try:
        futures = admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_SECONDS) if resources else {}
        described = {resource.name: future.result(REQUEST_TIMEOUT_SECONDS) for resource, future in futures.items()}
    except TimeoutError:
        raise KafkaUnavailableError(
            f"no broker says within {REQUEST_TIMEOUT_SECONDS:.0f} s how topics are configured"
        ) from None
    return {topic: {name: entry.value for name, entry in entries.items()} for topic, entries in described.items()}


def losses(topic: str, config: Mapping[str, str | None], *, compacted: bool) -> list[str]:
    """Return, one line each, how a topic would lose messages that should be kept.

    Parameters
    ----------
    topic : `str`
        Its name.
    config : `~collections.abc.Mapping` [`str`, `str` or `None`]
        Kafka's configuration of the topic, defaults included.
    compacted : `bool`
        Whether it is meant to keep the newest message of each key, and no other.
    """
    policies = str(config["cleanup.policy"]).split(",")
    lines = []
    if "compact" in policies and not compacted:
        lines.append(f"{topic}: keeps only the newest message of a key, read or not; set cleanup.policy=delete")
    if compacted and "delete" in policies:
        lines.append(f"{topic}: deletes objects that have not changed for some time; set cleanup.policy=compact")
    elif "delete" in policies:
        lines += [f"{topic}: {what}" for what in _deletions(config)]
    if _takes_times_of_producers(config) and _number(config, "message.timestamp.before.max.ms") < _ANY_AGE:
        lines.append(f"{topic}: refuses messages with the times of an old night; {_REMEDY}")
    return lines


_REMEDY: Final = "set message.timestamp.type=LogAppendTime"


def _deletions(config: Mapping[str, str | None]) -> list[str]:
    lines = []
    retention_ms, retention_bytes = _number(config, "retention.ms"), _number(config, "retention.bytes")
    if retention_ms != _FOR_EVER and _takes_times_of_producers(config):
        lines.append(f"deletes a replayed night at once, by the times that its messages carry; {_REMEDY}")
    if _FOR_EVER < retention_ms < LEAST_RETENTION_MS:
        lines.append(
            f"keeps messages for {retention_ms / 3_600_000:.2g} h, read or not; "
            f"set retention.ms to {LEAST_RETENTION_MS} or more"
        )
    if retention_bytes != _FOR_EVER:
        lines.append(f"keeps the newest {retention_bytes} bytes of a partition, read or not; set retention.bytes=-1")
    return lines


def _takes_times_of_producers(config: Mapping[str, str | None]) -> bool:
    return config["message.timestamp.type"] != APPEND_TIME["message.timestamp.type"]


def _number(config: Mapping[str, str | None], name: str) -> int:
    # Brokers before 3.6 have no limits of a message's age of that name, and so none.
    value = config.get(name)
    return _ANY_AGE if value is None else int(value)
