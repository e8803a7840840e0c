"""How often a daemon is opened anew."""

import pytest

from stream_assoc.exceptions import FatalError, RetriableError
from stream_assoc.service.daemon.exceptions import RestartBudgetError
from stream_assoc.service.daemon.health import Health
from stream_assoc.service.daemon.stopping import StopRequest
from stream_assoc.service.metrics.instruments import Instruments
from stream_assoc.settings import Settings
from stream_assoc.settings.operation import DaemonSettings
from stream_assoc.wiring import supervision
from stream_assoc.wiring.supervision import RestartBudget, supervise


def test_a_budget_is_spent_and_comes_back_with_time() -> None:
    now = [0.0]
    budget = RestartBudget(2, window_seconds=10.0, monotonic=lambda: now[0])
    assert (budget.spend(), budget.spend()) == (1, 2)
    with pytest.raises(RestartBudgetError, match=r"daemon\.restart_budget"):
        budget.spend()
    now[0] = 11.0
    assert budget.spend() == 1


class Snapshots:
    """Stands for `open_daemon`: fails as often as told, then asks to stop."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.n_opened = 0

    def __call__(self, settings, instruments, stop, health):
        self.n_opened += 1
        if self.n_opened <= self.failures:
            raise self.error
        stop.set()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return None

    def run(self, stop) -> None:
        return None


def run(monkeypatch: pytest.MonkeyPatch, snapshots: Snapshots, restart_budget: int = 5) -> None:
    monkeypatch.setattr(supervision, "open_daemon", snapshots)
    settings = Settings(
        daemon=DaemonSettings(restart_budget=restart_budget, retry_initial_seconds=1e-6, retry_max_seconds=1e-6)
    )
    instruments = Instruments()
    supervise(settings, instruments, StopRequest(0.0))
    assert instruments.registry.get_sample_value("stream_assoc_restarts_total") == snapshots.failures


def test_a_service_that_is_away_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Snapshots(3, RetriableError("connection refused"))
    run(monkeypatch, snapshots)
    assert snapshots.n_opened == 4


def test_a_service_that_stays_away_ends_the_daemon_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RestartBudgetError, match="connection refused"):
        run(monkeypatch, Snapshots(100, RetriableError("connection refused")), restart_budget=2)


def test_a_fatal_error_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Snapshots(1, FatalError("wrong schema"))
    with pytest.raises(FatalError, match="wrong schema"):
        run(monkeypatch, snapshots)
    assert snapshots.n_opened == 1


def test_who_has_not_come_to_work_yet_waits_and_has_not_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    phases: list[str] = []
    monkeypatch.setattr(supervision, "open_daemon", Snapshots(2, RetriableError("connection refused")))
    settings = Settings(daemon=DaemonSettings(retry_initial_seconds=1e-6, retry_max_seconds=1e-6))
    health = Health(Instruments(), on_phase=phases.append)

    supervise(settings, health.instruments, StopRequest(0.0), health)

    assert phases == ["waiting", "waiting", "running", "stopping"]
