"""How often a daemon is restarted."""

import pytest

from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.service.daemon.retry import Backoff
from stream_assoc.service.daemon.supervision import RestartBudget, supervise
from stream_assoc.service.exceptions import RestartBudgetError
from stream_assoc.service.instruments import Instruments


def test_a_budget_is_spent_and_comes_back_with_time() -> None:
    now = [0.0]
    budget = RestartBudget(2, window_seconds=10.0, monotonic=lambda: now[0])
    assert (budget.spend(), budget.spend()) == (1, 2)
    with pytest.raises(RestartBudgetError, match=r"daemon\.restart_budget"):
        budget.spend()
    now[0] = 11.0
    assert budget.spend() == 1


class Daemons:
    """Stands for what opens daemons: fails as often as told, then asks to stop."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.n_opened = 0
        self.stop = StopRequest(0.0)

    def __call__(self):
        self.n_opened += 1
        if self.n_opened <= self.failures:
            raise self.error
        self.stop.set()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return None

    def run(self, stop) -> None:
        return None


def run(daemons: Daemons, restart_budget: int = 5, health: Health | None = None) -> None:
    health = health or Health(Instruments())
    supervise(daemons, RestartBudget(restart_budget, 600.0), Backoff(1e-6, 1e-6), daemons.stop, health)
    restarts = health.instruments.registry.get_sample_value("stream_assoc_restarts_total")
    assert restarts == daemons.failures


def test_a_service_that_is_away_at_the_start_is_waited_for() -> None:
    daemons = Daemons(3, RetriableError("connection refused"))
    run(daemons)
    assert daemons.n_opened == 4


def test_a_service_that_stays_away_ends_the_daemon_and_is_named() -> None:
    with pytest.raises(RestartBudgetError, match="connection refused"):
        run(Daemons(100, RetriableError("connection refused")), restart_budget=2)


def test_a_fatal_error_is_not_retried() -> None:
    daemons = Daemons(1, FatalError("wrong schema"))
    with pytest.raises(FatalError, match="wrong schema"):
        run(daemons)
    assert daemons.n_opened == 1


def test_a_daemon_that_has_not_run_yet_waits_and_has_not_crashed() -> None:
    phases: list[str] = []
    run(Daemons(2, RetriableError("connection refused")), health=Health(Instruments(), on_phase=phases.append))
    assert phases == ["waiting", "waiting", "running", "stopping"]
