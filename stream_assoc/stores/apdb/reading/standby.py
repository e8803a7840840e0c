"""What readers are told when the APDB they read is a standby: it may lack what subscribers have been sent."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Final

from stream_assoc.stores.apdb.reading.port import ApdbReader, NotStoredError

_NOTICED_SECONDS: Final = 1.0
"""A standby that is behind by less is as good as its primary for whoever reads what is there."""


def standby_remark(reader: ApdbReader) -> str | None:
    """Return how far a standby is behind, as a clause; `None` if it is none that matters to a reader.

    Raises
    ------
    ApdbUnavailableError
        If the database is away.
    """
    behind = reader.seconds_behind()
    if behind is None or behind < _NOTICED_SECONDS:
        return None
    time = f"{behind:.0f} s" if math.isfinite(behind) else "nobody knows how far"
    return f"apdb.url leads to a standby that is {time} behind its primary"


@contextlib.contextmanager
def told_of_standbys(reader: Callable[[], ApdbReader]) -> Iterator[None]:
    """Say of what is not found that it may be on its way; the reader is asked for then.

    Raises
    ------
    NotStoredError
        With that remark.
    """
    try:
        yield
    except NotStoredError as error:
        remark = standby_remark(reader())
        if remark is None:
            raise
        raise NotStoredError(f"{error}; {remark}, and may lack it yet") from error
