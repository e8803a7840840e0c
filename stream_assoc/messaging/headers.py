"""Marks in the headers of a message: that a batch replaces an earlier one, or that a person has released it.

Without the first, other content under a (visit, detector) that has counted is a
mistake and becomes a dead letter; without the second, so does a batch that
would create very many objects. A mark counts only if its sender may set it
(`stream_assoc.messaging.authority`).
"""

from typing import Final

from stream_assoc.core.model.messages import RELEASE_HEADER, REPROCESSING_HEADER, Headers

QUARANTINE: Final = "quarantine"
"""The one reason of a dead letter that can be released: the batch would create too many objects."""

REPROCESSING_MARK: Final = (REPROCESSING_HEADER, b"true")
RELEASE_MARK: Final = (RELEASE_HEADER, QUARANTINE.encode())


def with_reprocessing(headers: Headers) -> Headers:
    """Return the headers of a message that may replace an earlier one of its visit and detector."""
    return _with(headers, REPROCESSING_MARK)


def with_release(headers: Headers) -> Headers:
    """Return the headers of a message that is to be processed without the limit on new objects."""
    return _with(headers, RELEASE_MARK)


def _with(headers: Headers, mark: tuple[str, bytes]) -> Headers:
    return (*(entry for entry in headers if entry[0] != mark[0]), mark)
