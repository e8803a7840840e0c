"""Marks in the headers of a message, and who may set them.

One mark says that a batch replaces an earlier one, the other that a person has
released it. Without the first, other content under a (visit, detector) that
has counted is a mistake and becomes a dead letter; without the second, so does
a batch that would create very many objects.

Anyone who may write to the input topic can set a header. So a mark counts only
with a signature over the mark and the message's value, made with a secret that
operators and daemons share: it cannot be put on another message. A copy of a
signed message changes nothing, because its batch has counted.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER, Headers
from stream_assoc.messaging.exceptions import UnauthorisedError
from stream_assoc.settings.operation import OperatorSettings

QUARANTINE: Final = "quarantine"
"""The one reason of a dead letter that can be released: the batch would create too many objects."""

REPROCESSING_MARK: Final = (REPROCESSING_HEADER, b"true")
RELEASE_MARK: Final = (RELEASE_HEADER, QUARANTINE.encode())

SIGNATURE_SUFFIX: Final = ".signature"
"""Follows the name of a mark in the name of the header that signs it."""

_MARKS: Final = (REPROCESSING_MARK, RELEASE_MARK)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a message may do besides being processed as any other.

    Attributes
    ----------
    reprocessing : `bool`
        Whether it may take the place of an earlier processing of its visit and detector.
    release : `bool`
        Whether it may create any number of objects.
    """

    reprocessing: bool = False
    release: bool = False


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs marks, and tells which of them count.

    Attributes
    ----------
    secret : `bytes` or `None`
        What signatures are made with; without it nobody may ask.
    trusts_unsigned : `bool`
        Whether marks count without a signature, because only operators can write to the topic.
    """

    secret: bytes | None = field(default=None, repr=False)
    trusts_unsigned: bool = False

    @property
    def can_mark(self) -> bool:
        """Whether marks made here count for a daemon of the same settings."""
        return self.trusts_unsigned or self.secret is not None

    def signed(self, headers: Headers, value: bytes | None) -> Headers:
        """Return the headers with a signature for each mark among them, where there is a secret."""
        kept = without_signatures(headers)
        if self.secret is None:
            return kept
        marks = [mark for mark in _MARKS if mark in kept]
        return (*kept, *((mark[0] + SIGNATURE_SUFFIX, signature(self.secret, mark, value)) for mark in marks))

    def grant(self, headers: Headers, value: bytes | None) -> Grant:
        """Return what a message asks for, if it may.

        Raises
        ------
        UnauthorisedError
            If it asks for what it may not.
        """
        for mark in _MARKS:
            if mark in headers and not self.trusts_unsigned:
                self._require_signature(headers, value, mark)
        return Grant(reprocessing=REPROCESSING_MARK in headers, release=RELEASE_MARK in headers)

    def _require_signature(self, headers: Headers, value: bytes | None, mark: tuple[str, bytes]) -> None:
        name = mark[0]
        if self.secret is None:
            raise UnauthorisedError(
                f"the message has the header {name}, and nobody may ask for that here: operators.secret is not set. "
                "`stream-assoc dlq replay` sends the message back without the header"
            )
        given = [content for key, content in headers if key == name + SIGNATURE_SUFFIX]
        if not given:
            raise UnauthorisedError(
                f"the message has the header {name} and no {name}{SIGNATURE_SUFFIX}; sign it with operators.secret. "
                "`stream-assoc dlq replay` sends the message back without the header, or signed"
            )
        expected = signature(self.secret, mark, value)
        if not any(hmac.compare_digest(one, expected) for one in given):
            raise UnauthorisedError(
                f"{name}{SIGNATURE_SUFFIX} is not that of this message; is operators.secret the same where it was "
                "signed? `stream-assoc dlq replay` sends the message back without the header, or signed"
            )


NOBODY: Final = Authority()
"""Every mark is refused."""


def authority_of(operators: OperatorSettings) -> Authority:
    """Return the configured authority."""
    secret = operators.secret
    return Authority(None if secret is None else secret.get_secret_value().encode(), operators.trust_unsigned)


def signature(secret: bytes, mark: tuple[str, bytes], value: bytes | None) -> bytes:
    """Return the signature of a mark on a message, in hexadecimal digits.

    It is the HMAC-SHA256 of the text ``name: value`` of the mark, a newline,
    and the SHA-256 of the message's value.

    Examples
    --------
    >>> signature(b"secret", ("stream_assoc.release", b"quarantine"), b"batch")[:12]
    b'6c4a7a3e2ce5'
    """
    name, content = mark
    text = name.encode() + b": " + content + b"\n" + hashlib.sha256(value or b"").digest()
    return hmac.digest(secret, text, "sha256").hex().encode()


def without_signatures(headers: Headers) -> Headers:
    """Return the headers without the signatures of marks."""
    names = {mark[0] + SIGNATURE_SUFFIX for mark in _MARKS}
    return tuple(header for header in headers if header[0] not in names)


def without_marks(headers: Headers) -> Headers:
    """Return the headers of a message that asks for nothing."""
    return tuple(header for header in without_signatures(headers) if header not in _MARKS)


def with_reprocessing(headers: Headers) -> Headers:
    """Return the headers of a message that may replace an earlier one of its visit and detector."""
    return _with(headers, REPROCESSING_MARK)


def with_release(headers: Headers) -> Headers:
    """Return the headers of a message that is to be processed without the limit on new objects."""
    return _with(headers, RELEASE_MARK)


def _with(headers: Headers, mark: tuple[str, bytes]) -> Headers:
    return (*(entry for entry in headers if entry[0] != mark[0]), mark)
