"""How much of the time warming may take."""

import time
from collections.abc import Callable
from typing import Final

_PATIENCE: Final = 9.0
"""How many times as long as it has worked it waits for batches in hand: somebody who is always at work would let no
visit be warmed at all."""

_LOOK_EVERY_SECONDS: Final = 0.005


def _never() -> bool:
    return False


class Pace:
    """Rests after each portion of work.

    Parameters
    ----------
    share : `float`
        Largest share of the time, above 0 and up to 1.
    wait : callable
        Waits for so many seconds, or less if nothing is to be done any more.
    is_busy : callable, optional
        Tells whether a batch is in hand that should have the machine for itself.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(
        self,
        share: float,
        wait: Callable[[float], None],
        is_busy: Callable[[], bool] = _never,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = 1.0 / share - 1.0
        self._wait = wait
        self._is_busy = is_busy
        self._monotonic = monotonic

    def rest(self, worked_seconds: float) -> None:
        """Rest after so many seconds of work, and until no batch is in hand, but not for ever."""
        if self._rest:
            self._wait(worked_seconds * self._rest)
        end = self._monotonic() + _PATIENCE * worked_seconds
        while self._is_busy() and self._monotonic() < end:
            self._wait(_LOOK_EVERY_SECONDS)
