"""SessionSnapshot a daemon again when a service was away, but not for ever."""

import time
from collections import deque
from collections.abc import Callable
from random import Random

import structlog

from stream_assoc.exceptions import RetriableError
from stream_assoc.service.daemon.exceptions import RestartBudgetError
from stream_assoc.service.daemon.health import Health, Phase
from stream_assoc.service.daemon.stopping import StopRequest
from stream_assoc.service.metrics.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.wiring.assembly import backoff_of, open_daemon

log = structlog.get_logger(__name__)


class RestartBudget:
    """So many restarts within a window of time, and no more.

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


def supervise(settings: Settings, instruments: Instruments, stop: StopRequest, health: Health | None = None) -> None:
    """Run a daemon until asked to stop; open it anew when a service was away.

    A daemon waits by itself for a service that goes away while it runs. What
    comes here is one that is away when the daemon starts, or that went in a
    way that leaves no connection to go on with.

    Parameters
    ----------
    settings : `Settings`
        Of the daemon.
    instruments : `Instruments`
        What Prometheus sees of it, over all restarts.
    stop : `StopRequest`
        Ends it.
    health : `Health`, optional
        What is asked how it does; one of its own by default.

    Raises
    ------
    FatalError
        If nothing can be processed until someone intervenes.
    RestartBudgetError
        If restarting did not help.
    """
    health = health or Health(instruments)
    budget = RestartBudget(settings.daemon.restart_budget, settings.daemon.restart_window_seconds)
    backoff = backoff_of(settings)
    random = Random()
    while not stop.is_set():
        has_run = False
        try:
            with open_daemon(settings, instruments, stop, health) as daemon:
                has_run = True
                health.enter("running")
                daemon.run(stop)
                health.enter("stopping")
        except RetriableError as error:
            health.failed(error)
            # Who has not come to work yet waits for a service; nothing has crashed.
            phase: Phase = "restarting" if has_run else "waiting"
            health.enter(phase)
            try:
                failures = budget.spend()
            except RestartBudgetError as exhausted:
                raise RestartBudgetError(f"{exhausted}; the last failure: {error}") from error
            wait_seconds = backoff.wait_seconds(failures, random.random())
            instruments.count_restart()
            tried = {"error": str(error), "tries": failures, "wait_seconds": round(wait_seconds, 2)}
            if has_run:
                log.warning("restarting", **tried)
            else:
                log.warning("waiting", **tried)
            stop.wait(wait_seconds)
