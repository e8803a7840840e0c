"""Whose word counts that a batch takes the place of another, or passes the quarantine."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER, Headers
from stream_assoc.messaging.authority import (
    RELEASE_MARK,
    REPROCESSING_MARK,
    Authority,
    Grant,
    authority_of,
    with_release,
    with_reprocessing,
    without_marks,
)
from stream_assoc.messaging.exceptions import UnauthorisedError
from stream_assoc.settings.operation import OperatorSettings

SECRET = b"sixteen letters!"
OTHERS: Headers = (("producer", b"simulator"), (RELEASE_HEADER, b"something else"), (REPROCESSING_HEADER, b"false"))
BOTH = with_release(with_reprocessing((("producer", b"simulator"),)))


def test_a_message_that_asks_for_nothing_is_granted_nothing() -> None:
    for authority in (Authority(), Authority(SECRET), Authority(trusts_unsigned=True)):
        assert authority.grant((), b"batch") == authority.grant(OTHERS, b"batch") == Grant()


@pytest.mark.parametrize(
    "headers", [with_release(()), with_reprocessing(()), BOTH, Authority(SECRET).signed(BOTH, b"")]
)
def test_nobody_may_ask_without_a_secret(headers: Headers) -> None:
    with pytest.raises(UnauthorisedError, match=r"operators\.secret is not set") as error:
        Authority().grant(headers, b"batch")
    assert error.value.reason == "unauthorised"


def test_a_mark_without_its_signature_does_not_count() -> None:
    with pytest.raises(UnauthorisedError, match=r"no stream_assoc\.release\.signature"):
        Authority(SECRET).grant(with_release(()), b"batch")
    signed = Authority(SECRET).signed(with_release(()), b"batch")
    for unsigned in ((REPROCESSING_MARK, *signed), with_reprocessing(signed)):
        with pytest.raises(UnauthorisedError, match=r"no stream_assoc\.reprocessing\.signature"):
            Authority(SECRET).grant(unsigned, b"batch")


def test_signed_marks_count_for_the_very_message() -> None:
    authority = Authority(SECRET)
    signed = authority.signed(BOTH, b"batch")
    assert authority.grant(signed, b"batch") == Grant(reprocessing=True, release=True)
    assert authority.signed(signed, b"batch") == signed
    assert authority.grant(authority.signed(with_release(OTHERS), None), None) == Grant(release=True)
    for value in (b"batch ", b"", None):
        with pytest.raises(UnauthorisedError, match="not that of this message"):
            authority.grant(signed, value)
    with pytest.raises(UnauthorisedError, match="not that of this message"):
        Authority(SECRET + b"!").grant(signed, b"batch")


@given(st.binary(max_size=80))
def test_no_other_signature_counts(forged: bytes) -> None:
    authority = Authority(SECRET)
    headers = (REPROCESSING_MARK, (REPROCESSING_HEADER + ".signature", forged))
    with pytest.raises(UnauthorisedError):
        authority.grant(headers, b"batch")


def test_the_signature_of_one_mark_is_not_that_of_the_other() -> None:
    (_, (_, release)) = Authority(SECRET).signed(with_release(()), b"batch")
    with pytest.raises(UnauthorisedError):
        Authority(SECRET).grant((REPROCESSING_MARK, (REPROCESSING_HEADER + ".signature", release)), b"batch")


def test_signatures_are_as_the_documents_tell_producers() -> None:
    text = b"stream_assoc.reprocessing: true\n" + hashlib.sha256(b"batch").digest()
    expected = hmac.new(SECRET, text, "sha256").hexdigest().encode()
    signed = Authority(SECRET).signed(with_reprocessing(()), b"batch")
    assert signed == (REPROCESSING_MARK, ("stream_assoc.reprocessing.signature", expected))


def test_unsigned_marks_count_where_only_operators_write() -> None:
    authority = Authority(trusts_unsigned=True)
    assert authority.grant(BOTH, b"batch") == Grant(reprocessing=True, release=True)
    assert authority.can_mark
    assert authority.signed(BOTH, b"batch") == BOTH


def test_a_message_without_marks_keeps_its_other_headers() -> None:
    assert without_marks(Authority(SECRET).signed(BOTH, b"batch")) == (("producer", b"simulator"),)
    assert without_marks(OTHERS) == OTHERS


def test_settings_name_the_authority() -> None:
    assert not authority_of(OperatorSettings()).can_mark
    assert authority_of(OperatorSettings(secret=SecretStr(SECRET.decode()))) == Authority(SECRET)
    assert authority_of(OperatorSettings(trust_unsigned=True)) == Authority(trusts_unsigned=True)
    assert SECRET.decode() not in repr(authority_of(OperatorSettings(secret=SecretStr(SECRET.decode()))))
    with pytest.raises(ValueError, match="keep one"):
        OperatorSettings(secret=SecretStr(SECRET.decode()), trust_unsigned=True)
    with pytest.raises(ValueError, match="at least 16"):
        OperatorSettings(secret=SecretStr("short"))


def test_marks_say_what_they_are() -> None:
    assert RELEASE_MARK == (RELEASE_HEADER, b"quarantine")
    assert REPROCESSING_MARK == (REPROCESSING_HEADER, b"true")
