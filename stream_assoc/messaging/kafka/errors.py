"""Errors of the Kafka clients, and which of librdkafka's many codes means which."""

from collections.abc import Sequence
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.messaging.exceptions import PublishError, StreamError


class KafkaUnavailableError(StreamError, RetriableError):
    """No broker answers, or one is too busy or still electing a leader."""


class CallOverdueError(StreamError, RetriableError):
    """A call of the client library has not returned in time, and may never."""


class KafkaConfigurationError(StreamError, FatalError):
    """The cluster refuses this client, or lacks what the settings name: a topic, a permission."""


class KafkaClientError(StreamError, FatalError):
    """The client library gave up for good; only a new client can go on."""


class ConsumerFencedError(StreamError, FatalError):
    """Another daemon joined the group under the same ``kafka.group_instance_id``."""


class ProducerFencedError(StreamError, FatalError):
    """Another daemon publishes under the same ``kafka.transactional_id``."""


class OutputTooLargeError(StreamError, FatalError):
    """An output message is larger than ``kafka.max_message_bytes`` or than its topic allows."""


class PublishInDoubtError(PublishError):
    """The transaction was being committed when the broker went away.

    Publish the same again: the publisher finds out what became of it first.
    """


class PartitionLostError(PublishError):
    """Some of the consumed messages belong to another member of the group now.

    Nothing was published: who owns the partition will do it.

    Attributes
    ----------
    positions : `tuple` [`InputPosition`, ...]
        The consumed positions that are no longer ours.
    """

    def __init__(self, positions: Sequence[InputPosition]) -> None:
        first = positions[0]
        super().__init__(
            f"{len(positions)} consumed message(s), the first at {first.topic}[{first.partition}]@{first.offset}, "
            "belong to another member of the group now"
        )
        self.positions = tuple(positions)


class DeliveryError(StreamError, RetriableError):
    """Messages whose delivery was not confirmed.

    Attributes
    ----------
    failed : `tuple` [`OutputMessage`, ...]
        These messages, in the order of their reports. They may have been
        written all the same if the broker's answer was lost.
    """

    def __init__(self, cause: str, failed: Sequence[OutputMessage]) -> None:
        topics = ", ".join(sorted({message.topic for message in failed}))
        super().__init__(f"{len(failed)} message(s) to {topics} not confirmed: {cause}")
        self.failed = tuple(failed)


FENCED_CODES: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})

CONFIGURATION_CODES: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._INVALID_ARG,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.UNSUPPORTED_VERSION,
    }
)

_NO_ANSWER: Final = "is a broker up, does kafka.bootstrap_servers name it, does it speak kafka.security_protocol?"

UNTRUSTED: Final = "certificate verify failed"
"""OpenSSL's words; every other failure of TLS may be that of a broker that is going down."""

HINTS: Final = {
    KafkaError._TIMED_OUT: _NO_ANSWER,
    KafkaError._TRANSPORT: _NO_ANSWER,
    KafkaError._ALL_BROKERS_DOWN: _NO_ANSWER,
    KafkaError.INVALID_REPLICATION_FACTOR: "lower kafka.replication_factor or add brokers",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create it with `stream-assoc topics init`, or correct kafka.*_topic",
    KafkaError._UNKNOWN_TOPIC: "create it with `stream-assoc topics init`, or correct kafka.*_topic",
    KafkaError._AUTHENTICATION: "check kafka.sasl_mechanism, sasl_username and sasl_password",
    KafkaError._SSL: "check kafka.security_protocol and kafka.ssl_*, "
    "and that the names in kafka.bootstrap_servers are those the certificates were made for",
    KafkaError.SASL_AUTHENTICATION_FAILED: "check kafka.sasl_mechanism, sasl_username and sasl_password",
    KafkaError.OFFSET_METADATA_TOO_LARGE: "set the brokers' offset.metadata.max.bytes to 4096, its default, or more",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: "lower kafka.librdkafka_producer transaction.timeout.ms",
    KafkaError._MAX_POLL_EXCEEDED: "raise kafka.librdkafka_consumer max.poll.interval.ms",
}
"""What to do about an error, where its own text does not say."""


def error_of(exception: KafkaException) -> KafkaError:
    """Return the error that an exception of the client library carries."""
    return cast(KafkaError, exception.args[0])


def translate(error: KafkaError, doing: str) -> StreamError:
    """Return the error of this package for one of librdkafka's.

    Parameters
    ----------
    error : `confluent_kafka.KafkaError`
        What happened.
    doing : `str`
        What was tried, for the message: "reading dia-sources".
    """
    text = f"{doing}: {describe(error)}"
    if error.code() == KafkaError.FENCED_INSTANCE_ID:
        return ConsumerFencedError(f"{text}; another daemon runs with the same kafka.group_instance_id")
    if error.code() in FENCED_CODES:
        return ProducerFencedError(f"{text}; another daemon runs with the same kafka.transactional_id")
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return OutputTooLargeError(f"{text}; raise kafka.max_message_bytes and the topic's max.message.bytes")
    if error.code() in CONFIGURATION_CODES or (error.code() == KafkaError._SSL and UNTRUSTED in error.str()):
        return KafkaConfigurationError(text)
    if error.fatal():
        return KafkaClientError(text)
    return KafkaUnavailableError(text)


def describe(error: KafkaError) -> str:
    """Return the error's name and text, and what to do about it where that is known."""
    hint = HINTS.get(error.code())
    return f"{error.name()}: {error.str()}" + (f"; {hint}" if hint else "")
