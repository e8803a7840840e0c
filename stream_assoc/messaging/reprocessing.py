"""A producer's word, in a header, that a batch takes the place of an earlier one of its visit and detector.

Without it, other content under a (visit, detector) that has counted is a
mistake and becomes a dead letter. The mark counts only if its sender may set
it (`stream_assoc.messaging.authority`).
"""

from typing import Final

from stream_assoc.messaging.messages import Headers

REPROCESSING_HEADER: Final = "stream_assoc.reprocessing"
"""Its value is ``true``."""

CONFLICT: Final = "conflicting_batch"
"""The reason of the dead letters that the mark would have spared."""

REPROCESSING_MARK: Final = (REPROCESSING_HEADER, b"true")


def with_reprocessing(headers: Headers) -> Headers:
    """Return the headers of a message that may take the place of an earlier one."""
    return (*(entry for entry in headers if entry[0] != REPROCESSING_HEADER), REPROCESSING_MARK)
