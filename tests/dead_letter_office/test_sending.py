import pytest

from stream_assoc.dead_letter_office.exceptions import NotConflictingError, NotQuarantinedError
from stream_assoc.dead_letter_office.sending import deliver, released, reprocessing, returned
from stream_assoc.exceptions import RetriableError
from stream_assoc.stream.messages import OutputMessage
from stream_assoc.stream.release import RELEASE_HEADER
from stream_assoc.stream.reprocessing import REPROCESSING_HEADER, is_reprocessing, with_reprocessing
from tests.dead_letter_office.builders import letter


class Producer:
    """Loses contact after some messages."""

    def __init__(self, n_until_failure) -> None:
        self.sent = []
        self._n_left = n_until_failure

    def send(self, messages) -> None:
        self.sent.extend(messages)

    def flush(self) -> None:
        if self._n_left == 0:
            raise RetriableError("the broker is away")
        self._n_left -= 1


def test_a_message_goes_back_as_it_was() -> None:
    headers = (("producer", b"simulator"),)
    assert returned(letter(0)) == OutputMessage("dia-sources", b"key", b"value", headers)
    assert returned(letter(0), "elsewhere") == OutputMessage("elsewhere", b"key", b"value", headers)


def test_a_released_message_says_so_in_one_header() -> None:
    message = released(letter(0, reason="quarantine"))
    headers = (("producer", b"simulator"), (RELEASE_HEADER, b"quarantine"))
    assert message == OutputMessage("dia-sources", b"key", b"value", headers)


def test_only_what_is_quarantined_is_released() -> None:
    with pytest.raises(NotQuarantinedError, match="1:9 was set aside for the reason unknown_band"):
        released(letter(9))


def test_a_message_of_a_conflict_takes_the_place_of_the_other() -> None:
    message = reprocessing(letter(0, reason="conflicting_batch"), "elsewhere")
    headers = (("producer", b"simulator"), (REPROCESSING_HEADER, b"true"))
    assert message == OutputMessage("elsewhere", b"key", b"value", headers)
    assert is_reprocessing(message.headers)
    assert with_reprocessing(message.headers) == message.headers
    assert not is_reprocessing(((REPROCESSING_HEADER, b"false"),))


def test_only_a_conflict_is_sent_as_a_reprocessing() -> None:
    with pytest.raises(NotConflictingError, match="1:9 was set aside for the reason unknown_band"):
        reprocessing(letter(9))


def test_what_is_yielded_is_confirmed_and_nothing_is_sent_after_a_failure() -> None:
    producer = Producer(n_until_failure=2)
    messages = [OutputMessage("t", None, bytes([index])) for index in range(5)]
    deliveries = deliver(messages, producer)
    confirmed = [next(deliveries), next(deliveries)]
    with pytest.raises(RetriableError):
        next(deliveries)
    assert confirmed == messages[:2]
    assert producer.sent == messages[:3]
