"""Restarting a daemon when a service was away, but not without end."""

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from typing import Protocol

import structlog

from stream_assoc.exceptions import RetriableError
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.service.exceptions import RestartBudgetError

log = structlog.get_logger(__name__)


class Runs(Protocol):
    """A daemon, as far as it is supervised."""

    def run(self, stop: StopRequest) -> None:
        """Work until asked to stop."""


class RestartBudget:
    """At most so many restarts within a window of time.

    Parameters
    ----------
    restarts : `int`
        How many.
    window_seconds : `float`
        Older restarts are forgotten.
    monotonic : callable, optional
        A clock in seconds.
    """

    def __init__(self, restarts: int, window_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._restarts = restarts
        self._window_seconds = window_seconds
        self._monotonic = monotonic
        self._spent: deque[float] = deque()

    def spend(self) -> int:
        """Take one restart; return how many were taken within the window.

        Raises
        ------
        RestartBudgetError
            If none is left.
        """
        now = self._monotonic()
        while self._spent and now - self._spent[0] > self._window_seconds:
            self._spent.popleft()
        if len(self._spent) >= self._restarts:
            raise RestartBudgetError(
                f"{len(self._spent)} restarts within {self._window_seconds:.0f} s did not help "
                "(daemon.restart_budget, daemon.restart_window_seconds)"
            )
        self._spent.append(now)
        return len(self._spent)


def supervise(
    open_daemon: Callable[[], AbstractContextManager[Runs]],
    budget: RestartBudget,
    backoff: Backoff,
    stop: StopRequest,
    health: Health,
) -> None:
    """Run a daemon until asked to stop; restart it when a service was away.

    A running daemon waits by itself for a service that goes away. Restarts are
    for a service that is away when the daemon starts, and for a failure that
    leaves no connection to continue with.

    Parameters
    ----------
    open_daemon : callable
        Returns a new daemon as a context manager, which closes it.
    budget : `RestartBudget`
        How many restarts are allowed.
    backoff : `Backoff`
        How long to wait before each.
    stop : `StopRequest`
        Ends the daemon.
    health : `Health`
        Receives the daemon's phases and failures.

    Raises
    ------
    FatalError
        If nothing can be processed until someone intervenes.
    RestartBudgetError
        If restarting did not help.
    """
    random = Random()
    while not stop.is_set():
        has_run = False
        try:
            with open_daemon() as daemon:
                has_run = True
                health.enter("running")
                daemon.run(stop)
                health.enter("stopping")
        except RetriableError as error:
            health.failed(error)
            # A daemon that has not run yet only waits for a service; nothing has crashed.
            health.enter("restarting" if has_run else "waiting")
            try:
                failures = budget.spend()
            except RestartBudgetError as exhausted:
                raise RestartBudgetError(f"{exhausted}; the last failure: {error}") from error
            wait_seconds = backoff.wait_seconds(failures, random.random())
            health.instruments.count_restart()
            tried = {"error": str(error), "tries": failures, "wait_seconds": round(wait_seconds, 2)}
            if has_run:
                log.warning("restarting", **tried)
            else:
                log.warning("waiting", **tried)
            stop.wait(wait_seconds)
