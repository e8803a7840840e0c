"""``stream_assoc.subscribe``: from the name of a topic to its records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack, overload

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.exceptions import StreamAssocError
from stream_assoc.messaging.avro.alerts.decoder import Alert
from stream_assoc.messaging.avro.dead_letters import DeadLetter
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.avro.wire import WriterSchemas
from stream_assoc.messaging.kafka.topic_reader import Reading, TopicReader, warn
from stream_assoc.settings import Settings
from stream_assoc.settings.kafka import KafkaSettings
from stream_assoc.settings.sources import load_settings
from stream_assoc.tools.subscription.decoding import (
    Decoder,
    alerts_decoder,
    dead_letter_decoder,
    forced_sources_decoder,
    metrics_decoder,
    objects_decoder,
)
from stream_assoc.tools.subscription.records import BadMessage, DiaObjectUpdate, ForcedSource
from stream_assoc.tools.subscription.since import Since, SubscriptionError, start_of
from stream_assoc.tools.subscription.subscription import Ending, Subscription, log_bad

METRICS: Final = "association-metrics"
OBJECTS: Final = "dia-objects"
FORCED_SOURCES: Final = "dia-forced-sources"
DEAD_LETTERS: Final = "dia-sources.dlq"
ALERTS: Final = "alerts"

_DECODERS: Final[dict[str, Callable[[WriterSchemas | None], Decoder[Any]]]] = {
    METRICS: metrics_decoder,
    OBJECTS: objects_decoder,
    FORCED_SOURCES: forced_sources_decoder,
    DEAD_LETTERS: dead_letter_decoder,
    ALERTS: alerts_decoder,
}


class SubscribeOptions(TypedDict, total=False):
    """The options of `subscribe`, described there."""

    since: Since
    group: str | None
    limit: int | None
    idle_seconds: float | None
    until_end: bool
    bootstrap_servers: str | None
    config: str | Path | None
    settings: Settings | None
    on_bad: Callable[[BadMessage], None]
    on_trouble: Callable[[StreamAssocError], None]


@overload
def subscribe(
    topic: Literal["association-metrics"], **options: Unpack[SubscribeOptions]
) -> Subscription[AssociationMetrics]: ...


@overload
def subscribe(
    topic: Literal["dia-objects"], **options: Unpack[SubscribeOptions]
) -> Subscription[DiaObjectUpdate]: ...


@overload
def subscribe(
    topic: Literal["dia-forced-sources"], **options: Unpack[SubscribeOptions]
) -> Subscription[ForcedSource]: ...


@overload
def subscribe(topic: Literal["dia-sources.dlq"], **options: Unpack[SubscribeOptions]) -> Subscription[DeadLetter]: ...


@overload
def subscribe(topic: Literal["alerts"], **options: Unpack[SubscribeOptions]) -> Subscription[Alert]: ...


@overload
def subscribe(topic: str, **options: Unpack[SubscribeOptions]) -> Subscription[Any]: ...


def subscribe(  # noqa: PLR0913 - each is a question a subscriber may have; all have an answer by default
    topic: str,
    *,
    since: Since = "latest",
    group: str | None = None,
    limit: int | None = None,
    idle_seconds: float | None = None,
    until_end: bool = False,
    bootstrap_servers: str | None = None,
    config: str | Path | None = None,
    settings: Settings | None = None,
    on_bad: Callable[[BadMessage], None] = log_bad,
    on_trouble: Callable[[StreamAssocError], None] = warn,
) -> Subscription[Any]:
    """Subscribe to an output topic.

    The messages of one object come in the order of its versions, also where
    several daemons publish them; those of different objects in no fixed order.

    Brokers, users, TLS and the Schema Registry come from the usual
    configuration: environment variables ``STREAM_ASSOC_KAFKA__...`` and
    ``stream-assoc.toml``.

    Parameters
    ----------
    topic : `str`
        ``"association-metrics"`` gives `AssociationMetrics`, ``"dia-objects"``
        `DiaObjectUpdate`, ``"dia-forced-sources"`` `ForcedSource`,
        ``"dia-sources.dlq"`` `DeadLetter`, ``"alerts"`` `Alert`. The names are
        those of the kinds, and lead to the topics that the configuration
        gives other names; these other names do as well.
    since : `str`, `float`, `~datetime.date`, `~datetime.datetime` or `~datetime.timedelta`
        ``"latest"``: what is published from now on. ``"beginning"``: the
        oldest message kept. Or what was published since a time: a duration
        (``"2h"``), an ISO time, an MJD TAI; see
        `~stream_assoc.tools.subscription.selection.start_of`.
    group : `str`, optional
        Consumer group. Its members share the messages, and it goes on where
        it has left off. Without one every message is read, from ``since`` on.
    limit : `int`, optional
        End after that many records.
    idle_seconds : `float`, optional
        End after so long without a message.
    until_end : `bool`
        End with what is there now. Not with a group.
    bootstrap_servers : `str`, optional
        Brokers, instead of the configured ones.
    config : `str` or `pathlib.Path`, optional
        TOML file of settings.
    settings : `~stream_assoc.settings.Settings`, optional
        Settings, instead of any configuration.
    on_bad : callable, optional
        Told of each message that cannot be read; logged by default.
    on_trouble : callable, optional
        Told of failures that the client gets over by itself; logged by default.

    Returns
    -------
    records : `Subscription`
        An iterator, and a context manager that closes it. Without a group,
        what is there already comes in the order of publication, whatever its
        partitions.

    Raises
    ------
    SubscriptionError
        If the topic is none of these, or ``since`` is no time.
    ConfigurationError
        If the configuration is not valid.
    KafkaConfigurationError
        If the topic does not exist, or Kafka refuses this client.
    KafkaUnavailableError
        If no broker answers.

    Examples
    --------
    >>> with stream_assoc.subscribe("association-metrics", since="2h") as metrics:  # doctest: +SKIP
    ...     for one in metrics:
    ...         print(one.visit, one.detector, one.numNewDiaObjects)
    """
    kafka = _kafka_settings(bootstrap_servers, config, settings)
    kind, name = _topic_of(topic, kafka)
    reader = TopicReader(kafka, Reading(name, start_of(since), group, until_end), on_trouble)
    return Subscription(reader, _DECODERS[kind](registry_of(kafka)), Ending(limit, idle_seconds), on_bad)


def _kafka_settings(
    bootstrap_servers: str | None, config: str | Path | None, settings: Settings | None
) -> KafkaSettings:
    if settings is not None:
        if bootstrap_servers is not None or config is not None:
            raise SubscriptionError("give settings, or config and bootstrap_servers, not both")
        return settings.kafka
    overrides = {} if bootstrap_servers is None else {"kafka.bootstrap_servers": bootstrap_servers}
    return load_settings(None if config is None else Path(config), overrides).kafka


def _topic_of(topic: str, kafka: KafkaSettings) -> tuple[str, str]:
    """Return the kind of a topic and its configured name."""
    names = {
        METRICS: kafka.metrics_topic,
        OBJECTS: kafka.objects_topic,
        FORCED_SOURCES: kafka.forced_sources_topic,
        DEAD_LETTERS: kafka.dead_letter_topic,
        ALERTS: kafka.alerts_topic,
    }
    if topic in names:
        return topic, names[topic]
    for kind, name in names.items():
        if name == topic:
            return kind, name
    known = ", ".join(dict.fromkeys([*names, *names.values()]))
    raise SubscriptionError(f"{topic} is no output topic; subscribe to one of {known}")
