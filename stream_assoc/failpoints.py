"""Places where a test can kill or stop the process: between any two steps that make something durable.

The kill-anywhere tests (tests/chaos) start a daemon with
``STREAM_ASSOC_TEST_FAILPOINT=after-store:3`` in its environment; it ends
itself with SIGKILL when it reaches that place for the third time. With
``after-store:3:stop`` it stops there, with SIGSTOP, until the test lets it go
on. Without the variable `failpoint` is a function that does nothing: some
0.1 µs a call, ten calls a micro-batch.
"""

import os
import re
import signal
from collections.abc import Callable
from typing import Final, NoReturn

VARIABLE: Final = "STREAM_ASSOC_TEST_FAILPOINT"
"""``name``, or ``name:count`` for the count-th arrival, or ``name:count:stop``; read once, at import."""

FAILPOINTS: Final = (
    "after-poll",
    "after-note",
    "after-decode",
    "before-store",
    "after-store",
    "before-publish",
    "in-kafka-transaction",
    "after-publish",
    "after-mark-published",
    "after-cache-write",
)
"""Every failpoint of a daemon, in the order in which a batch reaches them."""

COPY_FAILPOINTS: Final = (
    "after-copy-begins",
    "after-copied-rows",
    "after-copied-table",
    "after-copied-cells",
    "after-copy-counts",
)
"""Those that `stream-assoc apdb copy` reaches, in their order."""

ALERT_FAILPOINTS: Final = ("before-alerts", "in-kafka-transaction", "after-alerts")
"""Those that `stream-assoc alerts` reaches, in their order."""

_ALL: Final = tuple(dict.fromkeys((*FAILPOINTS, *COPY_FAILPOINTS, *ALERT_FAILPOINTS)))


def armed(
    setting: str | None, die: Callable[[], object], stop: Callable[[], object] | None = None
) -> Callable[[str], None]:
    """Return the function to call at every failpoint.

    Parameters
    ----------
    setting : `str` or `None`
        The value of the variable; `None` or empty if it is not set.
    die : callable
        Called when the place is reached for the count-th time.
    stop : callable, optional
        Called instead, if the setting says so.

    Raises
    ------
    ValueError
        If there is no such failpoint, or the count is not a positive number.

    Examples
    --------
    >>> at = armed("after-store:2", lambda: print("dies"))
    >>> at("after-store")
    >>> at("before-publish")
    >>> at("after-store")
    dies
    """
    if not setting:
        return _nothing
    words = re.fullmatch(r"([a-z-]+)(?::([1-9][0-9]*)(:stop)?)?", setting)
    if words is None or words[1] not in _ALL:
        raise ValueError(
            f"{VARIABLE}={setting}: expected name, name:count or name:count:stop, name one of {', '.join(_ALL)}"
        )
    name, left = words[1], int(words[2] or 1)
    act = stop if words[3] and stop else die

    def count_down(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                act()

    return count_down


def _nothing(reached: str) -> None: ...


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process does not outlive SIGKILL")


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


failpoint: Final = armed(os.environ.get(VARIABLE), _die, _stop)
