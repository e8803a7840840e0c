"""Every code of librdkafka has a kind, and its message names the remedy."""

import pytest
from confluent_kafka import KafkaError

from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.messaging.kafka.errors import (
    ConsumerFencedError,
    DeliveryError,
    KafkaClientError,
    KafkaConfigurationError,
    KafkaUnavailableError,
    OutputTooLargeError,
    ProducerFencedError,
    translate,
)


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (KafkaError._ALL_BROKERS_DOWN, KafkaUnavailableError, "reading"),
        (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaUnavailableError, "reading"),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaUnavailableError, "reading"),
        (KafkaError.ILLEGAL_GENERATION, KafkaUnavailableError, "reading"),
        (KafkaError._MAX_POLL_EXCEEDED, KafkaUnavailableError, r"max\.poll\.interval\.ms"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaConfigurationError, "topics init"),
        (KafkaError._AUTHENTICATION, KafkaConfigurationError, "sasl"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaConfigurationError, "reading"),
        (KafkaError.MSG_SIZE_TOO_LARGE, OutputTooLargeError, r"kafka\.max_message_bytes"),
        (KafkaError.FENCED_INSTANCE_ID, ConsumerFencedError, r"kafka\.group_instance_id"),
        (KafkaError._FENCED, ProducerFencedError, r"kafka\.transactional_id"),
        (KafkaError.PRODUCER_FENCED, ProducerFencedError, r"kafka\.transactional_id"),
    ],
)
def test_a_code_becomes_its_error(code: int, kind: type[Exception], remedy: str) -> None:
    error = translate(KafkaError(code), "reading dia-sources")

    assert type(error) is kind
    with pytest.raises(kind, match=remedy):
        raise error


def test_an_error_that_ends_the_client_is_fatal() -> None:
    assert type(translate(KafkaError(KafkaError._STATE, fatal=True), "reading")) is KafkaClientError


def test_each_code_is_either_retriable_or_fatal() -> None:
    codes = [getattr(KafkaError, name) for name in dir(KafkaError) if name.isupper()]

    for code in codes:
        error = translate(KafkaError(code), "reading")
        assert isinstance(error, RetriableError) != isinstance(error, FatalError)


def test_undelivered_messages_are_counted_by_topic() -> None:
    error = DeliveryError("timed out", [OutputMessage("b", None, b"1"), OutputMessage("a", None, b"2")])

    assert str(error) == "2 message(s) to a, b not confirmed: timed out"
