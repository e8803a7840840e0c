"""A deadline for calls of the client library that do not keep their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from stream_assoc.messaging.kafka.errors import CallOverdueError

Result = TypeVar("Result")


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what the call returns, or give it up after so many seconds.

    Parameters
    ----------
    seconds : `float`
        How long to wait for it.
    call : callable
        Made in a thread of its own. When it is given up it stays there until
        it returns by itself, so what it uses can be used for nothing else. It
        does not keep the process from exiting.

    Raises
    ------
    CallOverdueError
        If it has not returned by then.

    Examples
    --------
    >>> within(10.0, lambda: 6 * 7)
    42
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            outcome.set_exception(error)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    wait([outcome], seconds)
    if not outcome.done():
        raise CallOverdueError(f"no return within {seconds:g} s")
    return outcome.result()
