"""Sending dead letters back to where they came from."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from stream_assoc.core.model.messages import Headers, OutputMessage
from stream_assoc.messaging.authority import QUARANTINE, Authority, with_release, with_reprocessing, without_marks
from stream_assoc.messaging.exceptions import UnauthorisedError
from stream_assoc.pipeline.exceptions import CONFLICT
from stream_assoc.tools.dead_letters.exceptions import (
    DeadLetterIncompleteError,
    NoAuthorityError,
    NotConflictingError,
    NotQuarantinedError,
)
from stream_assoc.tools.dead_letters.filed import Address, FiledDeadLetter


class Producer(Protocol):
    """What is needed of `~stream_assoc.messaging.kafka.plain_producer.PlainProducer`."""

    def send(self, messages: Iterable[OutputMessage]) -> None:
        """Send messages in order."""

    def flush(self) -> None:
        """Wait until each message sent is written, or raise `DeliveryError`."""


def returned(filed: FiledDeadLetter, topic: str | None = None) -> OutputMessage:
    """Return the message as it was: its key, value and headers.

    One that asked in a header for what its sender may not ask for is sent
    without that header: to be processed as any other.

    Parameters
    ----------
    filed : `FiledDeadLetter`
        The letter.
    topic : `str`, optional
        Where it goes; by default to the topic it was read from.

    Raises
    ------
    DeadLetterIncompleteError
        If the letter does not have all of the message.
    """
    original, record = filed.letter.original, filed.letter.record
    if filed.letter.left_out:
        raise DeadLetterIncompleteError(
            f"the letter at {filed.address} has no room for the {' and the '.join(filed.letter.left_out)} of its "
            f"message; raise kafka.max_message_bytes, and send the message from {record.topic}[{record.partition}]@"
            f"{record.offset} again"
        )
    is_refused = filed.letter.record.reason == UnauthorisedError.reason
    headers = without_marks(original.headers) if is_refused else original.headers
    return OutputMessage(topic or original.position.topic, original.key, original.value, headers)


def released(filed: FiledDeadLetter, authority: Authority) -> OutputMessage:
    """Return the message with the word, signed, that it may create any number of objects.

    Raises
    ------
    NotQuarantinedError
        If it was set aside for another reason, and not for want of a signature.
    NoAuthorityError
        If it cannot be signed.
    """
    reason = filed.letter.record.reason
    if reason not in {QUARANTINE, UnauthorisedError.reason}:
        raise NotQuarantinedError(
            f"the letter at {filed.address} was set aside for the reason {reason}, not {QUARANTINE}; "
            "use `stream-assoc dlq replay` once the cause is gone"
        )
    message = returned(filed)
    return _signed(message, with_release(message.headers), authority)


def reprocessing(filed: FiledDeadLetter, authority: Authority, topic: str | None = None) -> OutputMessage:
    """Return the message with the word, signed, that it takes the place of what its visit and detector was before.

    Parameters
    ----------
    filed : `FiledDeadLetter`
        The letter.
    authority : `Authority`
        Who signs.
    topic : `str`, optional
        Where it goes; by default to the topic it was read from.

    Raises
    ------
    NotConflictingError
        If it was set aside for another reason than its conflict with that
        batch, and not for want of a signature.
    NoAuthorityError
        If it cannot be signed.
    """
    reason = filed.letter.record.reason
    if reason not in {CONFLICT, UnauthorisedError.reason}:
        raise NotConflictingError(
            f"the letter at {filed.address} was set aside for the reason {reason}, not {CONFLICT}; "
            "use `stream-assoc dlq replay` without --as-reprocessing once the cause is gone"
        )
    message = returned(filed, topic)
    return _signed(message, with_reprocessing(message.headers), authority)


def _signed(message: OutputMessage, headers: Headers, authority: Authority) -> OutputMessage:
    if not authority.can_mark:
        raise NoAuthorityError(
            "the daemon would refuse it: set operators.secret here and there, or operators.trust_unsigned where "
            "nobody but operators can write to the input topic"
        )
    return message._replace(headers=authority.signed(headers, message.value))


def deliver(
    messages: Iterable[tuple[Address, OutputMessage]], producer: Producer, note: Callable[[Address], OutputMessage]
) -> Iterator[Address]:
    """Send the messages of letters one by one, note each, and yield its letter when the broker has confirmed it.

    Who is interrupted therefore knows which were sent. A letter whose note is
    lost may be sent again; none is noted that was not sent.

    Raises
    ------
    DeliveryError
        If one is not confirmed; no further one is sent.
    """
    for address, message in messages:
        producer.send([message])
        producer.flush()
        producer.send([note(address)])
        producer.flush()
        yield address
