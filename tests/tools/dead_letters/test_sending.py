from dataclasses import replace

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER, Headers, InputMessage, OutputMessage
from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.authority import Authority, Grant, with_release, with_reprocessing
from stream_assoc.tools.dead_letters.exceptions import (
    DeadLetterIncompleteError,
    NoAuthorityError,
    NotConflictingError,
    NotQuarantinedError,
)
from stream_assoc.tools.dead_letters.filed import Address
from stream_assoc.tools.dead_letters.sending import deliver, released, reprocessing, returned
from stream_assoc.tools.dead_letters.sent_again import note_of, read_note
from stream_assoc.tools.subscription.decoding import dead_letter_decoder
from tests.tools.dead_letters.builders import letter

TRUSTING = Authority(trusts_unsigned=True)
SIGNING = Authority(b"sixteen letters!")


class Producer:
    """Loses contact after some messages."""

    def __init__(self, n_until_failure) -> None:
        self.sent: list[OutputMessage] = []
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


def test_a_message_that_had_no_room_in_its_letter_is_not_sent_without_its_value() -> None:
    whole = letter(0)
    cut = replace(whole, letter=replace(whole.letter, left_out=("value",)))
    for send in (returned, lambda filed: returned(filed, "elsewhere")):
        with pytest.raises(DeadLetterIncompleteError, match=r"no room for the value.*kafka\.max_message_bytes"):
            send(cut)


def test_a_released_message_says_so_in_one_header() -> None:
    message = released(letter(0, reason="quarantine"), TRUSTING)
    headers = (("producer", b"simulator"), (RELEASE_HEADER, b"quarantine"))
    assert message == OutputMessage("dia-sources", b"key", b"value", headers)


def test_only_what_is_quarantined_is_released() -> None:
    with pytest.raises(NotQuarantinedError, match="1:9 was set aside for the reason unknown_band"):
        released(letter(9), TRUSTING)


def test_a_message_of_a_conflict_takes_the_place_of_the_other() -> None:
    message = reprocessing(letter(0, reason="conflicting_batch"), TRUSTING, "elsewhere")
    headers = (("producer", b"simulator"), (REPROCESSING_HEADER, b"true"))
    assert message == OutputMessage("elsewhere", b"key", b"value", headers)
    assert with_reprocessing(message.headers) == message.headers


def test_only_a_conflict_is_sent_as_a_reprocessing() -> None:
    with pytest.raises(NotConflictingError, match="1:9 was set aside for the reason unknown_band"):
        reprocessing(letter(9), TRUSTING)


def test_marks_are_signed_where_there_is_a_secret() -> None:
    released_, again = (
        released(letter(0, reason="quarantine"), SIGNING),
        reprocessing(letter(0, reason="conflicting_batch"), SIGNING),
    )
    assert SIGNING.grant(released_.headers, b"value") == Grant(release=True)
    assert SIGNING.grant(again.headers, b"value") == Grant(reprocessing=True)


def test_nothing_is_sent_that_every_daemon_would_refuse() -> None:
    with pytest.raises(NoAuthorityError, match=r"operators\.secret"):
        released(letter(0, reason="quarantine"), Authority())
    with pytest.raises(NoAuthorityError, match=r"operators\.secret"):
        reprocessing(letter(0, reason="conflicting_batch"), Authority())


def test_what_a_producer_may_not_ask_for_goes_back_without_asking_or_signed() -> None:
    refused = letter(0, reason="unauthorised", headers=with_release(with_reprocessing((("producer", b"simulator"),))))
    assert returned(refused).headers == (("producer", b"simulator"),)
    assert SIGNING.grant(reprocessing(refused, SIGNING).headers, b"value") == Grant(reprocessing=True)
    assert SIGNING.grant(released(refused, SIGNING).headers, b"value") == Grant(release=True)


def note(address: Address) -> OutputMessage:
    return note_of(address, "dlq", 5)


def test_what_is_yielded_is_confirmed_and_noted_and_nothing_is_sent_after_a_failure() -> None:
    # A message and its note are each confirmed: the second message of three is the last.
    producer = Producer(n_until_failure=4)
    messages = [(Address(1, index), OutputMessage("t", None, bytes([index]))) for index in range(5)]
    deliveries = deliver(messages, producer, note)
    confirmed = [next(deliveries), next(deliveries)]
    with pytest.raises(RetriableError):
        next(deliveries)
    assert confirmed == [Address(1, 0), Address(1, 1)]
    assert producer.sent == [one for address, message in messages[:2] for one in (message, note(address))] + [
        messages[2][1]
    ]


def test_a_note_names_its_letter_and_is_no_letter() -> None:
    written = note(Address(3, 17))
    read = InputMessage(InputPosition("dlq", 0, 4), 1, written.key, written.value, written.headers)
    assert read_note(read) == (Address(3, 17), 5)
    assert list(dead_letter_decoder(None).decode([read])) == [None]


@pytest.mark.parametrize("headers", [(), (("dlq.sent_again", b"here"),), (("dlq.sent_again", b"1:2"),)])
def test_what_is_no_note_is_passed_over(headers: Headers) -> None:
    assert read_note(InputMessage(InputPosition("dlq", 0, 4), 1, None, None, headers)) is None
