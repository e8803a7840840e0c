"""How commands other than `serve` take the signals that end them."""

import signal
import threading
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A service manager, Ctrl-C, and a terminal that is closed."""


def wait_for_signal() -> None:
    """Wait for a signal of `ENDING`, and take it for the wish to end."""
    ended = threading.Event()
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: ended.set())
    ended.wait()


def interrupt_on_signals() -> None:
    """Let every signal of `ENDING` do what Ctrl-C does, so that a command that owns processes ends them.

    One that is ignored, as SIGHUP is under ``nohup``, stays ignored.
    """
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
