"""How commands other than `serve` take the signals that end them."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def wait_for_signal() -> None:
    """Wait for SIGTERM, SIGINT or SIGHUP, and take it for the wish to end."""
    ended = threading.Event()
    _on_ending(lambda number, frame: ended.set())
    ended.wait()


def interrupt_on_signals() -> None:
    """Let every signal that ends a command do what Ctrl-C does, so that a command that owns processes ends them."""
    _on_ending(signal.default_int_handler)


def _on_ending(handler: Callable[[int, FrameType | None], Any]) -> None:
    """Handle what ends a command; SIGHUP, which a closed terminal sends, stays ignored under ``nohup``."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)
