"""A person's word, in a header, that a batch held back for its many new objects is real.

The mark counts only if its sender may set it (`stream_assoc.messaging.authority`).
"""

from typing import Final

from stream_assoc.messaging.messages import Headers

RELEASE_HEADER: Final = "stream_assoc.release"
"""Names the reason of the dead letter that is released."""

QUARANTINE: Final = "quarantine"
"""The one reason that can be released: the batch would create too many objects."""

RELEASE_MARK: Final = (RELEASE_HEADER, QUARANTINE.encode())


def with_release(headers: Headers) -> Headers:
    """Return the headers of a message that is to be processed without the limit on new objects."""
    return (*(entry for entry in headers if entry[0] != RELEASE_HEADER), RELEASE_MARK)
