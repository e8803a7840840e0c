"""How much the clients of one server may take."""

import resource
from dataclasses import dataclass
from typing import Final, Self

_MOST_CONNECTIONS: Final = 64
_LEAST_CONNECTIONS: Final = 4
_SHARE: Final = 16
"""A server keeps at most this part of the process's file descriptors, and four times as many while it accepts."""
_WANTED_DESCRIPTORS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the clients of one server may take.

    Attributes
    ----------
    connections : `int`
        Most connections at a time.
    request_seconds : `float`
        A request must have come as a whole so long after the connection or the
        last answer.
    stalled_seconds : `float`
        A client may leave an answer unread for so long.
    """

    connections: int = _MOST_CONNECTIONS
    request_seconds: float = 10.0
    stalled_seconds: float = 30.0

    @classmethod
    def of_process(cls) -> Self:
        """Return the limits for a process of this one's limit of file descriptors."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        available = _WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
        return cls(connections=max(_LEAST_CONNECTIONS, min(_MOST_CONNECTIONS, available // _SHARE)))


def raise_descriptor_limit() -> int:
    """Raise the process's soft limit of open files towards its hard one; return what it is now.

    Many systems have a soft limit of 1024 for programs that use ``select``,
    which nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED_DESCRIPTORS
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_WANTED_DESCRIPTORS, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
