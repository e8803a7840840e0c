"""Sending dead letters back to where they came from."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from stream_assoc.dead_letter_office.exceptions import NotConflictingError, NotQuarantinedError
from stream_assoc.dead_letter_office.letters import FiledLetter
from stream_assoc.stream.messages import OutputMessage
from stream_assoc.stream.release import QUARANTINE, with_release
from stream_assoc.stream.reprocessing import CONFLICT, with_reprocessing


class Producer(Protocol):
    """What is needed of `~stream_assoc.stream.kafka_plain_producer.PlainProducer`."""

    def send(self, messages: Iterable[OutputMessage]) -> None:
        """Send messages in order."""

    def flush(self) -> None:
        """Wait until each message sent is written, or raise `DeliveryError`."""


def returned(filed: FiledLetter, topic: str | None = None) -> OutputMessage:
    """Return the message as it was: its key, value and headers.

    Parameters
    ----------
    filed : `FiledLetter`
        The letter.
    topic : `str`, optional
        Where it goes; by default to the topic it was read from.
    """
    original = filed.letter.original
    return OutputMessage(topic or original.position.topic, original.key, original.value, original.headers)


def released(filed: FiledLetter) -> OutputMessage:
    """Return the message with the word that it may create any number of objects.

    Raises
    ------
    NotQuarantinedError
        If it was set aside for another reason.
    """
    reason = filed.letter.record.reason
    if reason != QUARANTINE:
        raise NotQuarantinedError(
            f"the letter at {filed.address} was set aside for the reason {reason}, not {QUARANTINE}; "
            "use `stream-assoc dlq replay` once the cause is gone"
        )
    message = returned(filed)
    return OutputMessage(message.topic, message.key, message.value, with_release(message.headers))


def reprocessing(filed: FiledLetter, topic: str | None = None) -> OutputMessage:
    """Return the message with the word that it takes the place of what its visit and detector was before.

    Parameters
    ----------
    filed : `FiledLetter`
        The letter.
    topic : `str`, optional
        Where it goes; by default to the topic it was read from.

    Raises
    ------
    NotConflictingError
        If it was set aside for another reason than its conflict with that batch.
    """
    reason = filed.letter.record.reason
    if reason != CONFLICT:
        raise NotConflictingError(
            f"the letter at {filed.address} was set aside for the reason {reason}, not {CONFLICT}; "
            "use `stream-assoc dlq replay` without --as-reprocessing once the cause is gone"
        )
    message = returned(filed, topic)
    return OutputMessage(message.topic, message.key, message.value, with_reprocessing(message.headers))


def deliver(messages: Iterable[OutputMessage], producer: Producer) -> Iterator[OutputMessage]:
    """Send messages one by one, and yield each when the broker has confirmed it.

    Who is interrupted therefore knows which were sent.

    Raises
    ------
    DeliveryError
        If one is not confirmed; no further one is sent.
    """
    for message in messages:
        producer.send([message])
        producer.flush()
        yield message
