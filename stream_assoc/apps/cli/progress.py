"""What a command is doing, on standard error: a line that changes on a terminal, lines that follow elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Item = TypeVar("Item")

LINE_SECONDS: Final = 5.0
"""Elsewhere than on a terminal, how long nothing is said before the next count."""

REDRAW_SECONDS: Final = 0.1


class Progress:
    """Tells what is being done, and how much of it has been.

    Parameters
    ----------
    console : `rich.console.Console`, optional
        Standard error by default.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(self, console: "Console | None" = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._monotonic = monotonic

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is done within."""
        with self._status(what):
            yield

    def counting(self, items: Iterable[Item], what: str) -> Iterator[Item]:
        """Yield the items, and say how many there have been."""
        with self.count(what) as tell:
            for number, item in enumerate(items, 1):
                yield item
                tell(number)

    @contextmanager
    def count(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Say what is done within, and how much is done whenever the given function is told.

        Parameters
        ----------
        what : `str`
            What is done, or what is counted.
        total : `int`, optional
            How much there is to do.

        Returns
        -------
        tell : callable
            Told how much is done so far; most calls show nothing.
        """
        of_total = "" if total is None else f" of {total:,}"
        with self._status(what) as status:
            interval = LINE_SECONDS if status is None else REDRAW_SECONDS
            due = self._monotonic() + interval

            def tell(number: int) -> None:
                nonlocal due
                if self._monotonic() >= due:
                    self._say(status, f"{what}: {number:,}{of_total}")
                    due = self._monotonic() + interval

            yield tell

    @contextmanager
    def _status(self, what: str) -> "Iterator[Status | None]":
        if self._console.is_terminal:
            with self._console.status(what) as status:
                yield status
        else:
            self._say(None, what)
            yield None

    def _say(self, status: "Status | None", text: str) -> None:
        if status is None:
            self._console.print(text, markup=False, soft_wrap=True)
        else:
            status.update(text)
