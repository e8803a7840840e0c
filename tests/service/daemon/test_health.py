"""What is shown of a service that comes and goes, and what is answered to who asks after the daemon."""

import threading

import pytest

from stream_assoc.exceptions import RetriableError
from stream_assoc.messaging.exceptions import PublishError, RegistryUnavailableError
from stream_assoc.messaging.kafka.hooks import GroupState
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.service.daemon.health import Health, Phase, probing
from stream_assoc.service.instruments import Instruments
from stream_assoc.stores.cache.exceptions import CacheUnavailableError


@pytest.fixture
def instruments() -> Instruments:
    return Instruments()


def is_up(instruments: Instruments, service: str) -> float | None:
    return instruments.registry.get_sample_value("stream_assoc_service_up", {"service": service})


def n_retries(instruments: Instruments, service: str) -> float | None:
    return instruments.registry.get_sample_value("stream_assoc_retries_total", {"service": service})


@pytest.mark.parametrize(
    ("error", "service"),
    [
        (ApdbUnavailableError("away"), "apdb"),
        (CacheUnavailableError("away"), "cache"),
        (PublishError("away"), "kafka"),
        (RegistryUnavailableError("away"), "schema_registry"),
    ],
)
def test_a_failure_is_that_of_its_service(instruments: Instruments, error: RetriableError, service: str) -> None:
    health = Health(instruments)
    health.answers(["apdb", "cache", "kafka", "schema_registry"])
    health.failed(error)
    health.failed(error)
    assert n_retries(instruments, service) == 2
    shown = {name: is_up(instruments, name) for name in ("apdb", "cache", "kafka", "schema_registry")}
    assert shown == {name: float(name != service) for name in shown}
    health.recovered()
    assert is_up(instruments, service) == 1
    assert n_retries(instruments, service) == 2


def test_what_was_never_asked_is_not_shown(instruments: Instruments) -> None:
    health = Health(instruments)
    health.recovered()
    health.failed(RetriableError("of no service"))
    assert is_up(instruments, "apdb") is None


class Patient:
    """A daemon in its group whose stores answer, on a clock of the test's own."""

    def __init__(self, instruments: Instruments) -> None:
        self.now = 1000.0
        self.stopping = False
        self.health = Health(
            instruments,
            wedged_after_seconds=300.0,
            silent_after_seconds=15.0,
            is_stopping=lambda: self.stopping,
            monotonic=lambda: self.now,
        )
        self.health.answers(["apdb", "cache", "kafka"])
        self.health.enter("running")
        self.health.group_is(GroupState(joined=True, n_partitions=4, n_rebalances=1, n_brokers_up=1))

    def why_not_ready(self) -> list[str]:
        verdict = self.health.ready()
        assert verdict.good == (verdict.body["why"] == [])
        return list(verdict.body["why"])


@pytest.fixture
def patient(instruments: Instruments) -> Patient:
    return Patient(instruments)


def test_a_daemon_that_can_work_is_ready_and_alive(patient: Patient) -> None:
    assert patient.health.ready().body == {
        "ready": True,
        "why": [],
        "phase": "running",
        "seconds_since_last_turn": 0.0,
        "services": {"apdb": "answers", "cache": "answers", "kafka": "answers"},
        "consumer_group": {"joined": True, "partitions": 4},
    }
    assert patient.health.alive().good


def test_a_loop_that_is_stuck_is_told_from_one_that_waits(patient: Patient) -> None:
    for _ in range(10):
        patient.now += 200.0
        patient.health.note_progress()
        assert patient.health.alive().good
    patient.now += 301.0
    alive = patient.health.alive()
    assert not alive.good
    (why,) = alive.body["why"]
    assert "301 s" in why
    assert "daemon.wedged_after_seconds" in why
    assert patient.why_not_ready() == [why]
    patient.health.note_progress()
    assert patient.health.alive().good


def test_a_store_that_does_not_answer_is_named_with_the_reason(patient: Patient, instruments: Instruments) -> None:
    patient.health.silent("apdb", "PostgreSQL cannot be used now (apdb.url)")
    assert patient.why_not_ready() == ["apdb: PostgreSQL cannot be used now (apdb.url)"]
    assert patient.health.alive().good
    assert (is_up(instruments, "apdb"), is_up(instruments, "cache")) == (0, 1)
    patient.health.heard("apdb")
    assert patient.why_not_ready() == []
    assert is_up(instruments, "apdb") == 1


def test_an_answer_to_a_probe_does_not_outvote_work_that_fails(patient: Patient) -> None:
    patient.health.failed(ApdbUnavailableError("disk full"))
    patient.health.heard("apdb")
    assert patient.why_not_ready() == ["apdb: disk full"]
    patient.health.recovered()
    assert patient.why_not_ready() == []


def test_what_is_not_tried_again_is_over_with_the_next_sign_of_life(
    patient: Patient, instruments: Instruments
) -> None:
    patient.health.failed(CacheUnavailableError("full"), is_tried_again=False)
    assert patient.why_not_ready() == ["cache: full"]
    assert n_retries(instruments, "cache") == 1
    patient.health.recovered()
    assert patient.why_not_ready() == ["cache: full"]
    patient.health.heard("cache")
    assert patient.why_not_ready() == []


def test_a_probe_that_does_not_come_back_is_silence(patient: Patient, instruments: Instruments) -> None:
    patient.health.heard("cache")
    patient.now += 16.0
    patient.health.note_progress()
    assert patient.why_not_ready() == ["cache: no sign of life for 16 s"]
    assert is_up(instruments, "cache") == 0


def test_who_is_not_in_the_group_is_not_ready(patient: Patient) -> None:
    patient.health.group_is(GroupState(joined=False, n_partitions=0, n_rebalances=2, n_brokers_up=1))
    assert patient.why_not_ready() == ["not a settled member of the consumer group (kafka.group_id)"]


def test_who_reaches_no_broker_is_not_ready(patient: Patient, instruments: Instruments) -> None:
    patient.health.group_is(GroupState(joined=True, n_partitions=4, n_rebalances=1, n_brokers_up=0))
    (why,) = patient.why_not_ready()
    assert "kafka.bootstrap_servers" in why
    assert is_up(instruments, "kafka") == 0


def test_rebalances_are_counted_once_and_over_restarts(patient: Patient, instruments: Instruments) -> None:
    for n_rebalances in (1, 3):
        patient.health.group_is(GroupState(True, 4, n_rebalances, 1))
    patient.health.enter("restarting")
    patient.health.enter("running")
    patient.health.group_is(GroupState(True, 4, 2, 1))
    assert instruments.registry.get_sample_value("stream_assoc_rebalances_total") == 5


@pytest.mark.parametrize("phase", ["starting", "restarting"])
def test_who_does_not_read_yet_is_not_ready(patient: Patient, phase: Phase) -> None:
    patient.health.enter(phase)
    assert patient.why_not_ready() == [f"{phase}: not reading yet"]
    assert patient.health.alive().good


def test_who_was_asked_to_stop_is_not_ready(patient: Patient) -> None:
    patient.stopping = True
    assert patient.why_not_ready() == ["asked to stop"]
    assert patient.health.ready().body["phase"] == "stopping"


def test_phases_and_progress_are_passed_on(instruments: Instruments) -> None:
    told: list[str] = []
    health = Health(instruments, on_phase=told.append, on_progress=lambda: told.append("progress"))
    health.enter("running")
    assert told == ["progress", "running", "progress"]


PATIENCE_SECONDS = 60.0


class Store:
    """Answers, or raises what it is told to; counts the questions."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._n_asked = 0
        self._is_asked = threading.Condition()

    def ping(self) -> None:
        with self._is_asked:
            self._n_asked += 1
            self._is_asked.notify_all()
        if self.error is not None:
            raise self.error

    def is_asked(self, times: int) -> bool:
        """Wait until it is asked so many times from now on: earlier questions tell nothing of what is true now."""
        with self._is_asked:
            enough = self._n_asked + times
            return self._is_asked.wait_for(lambda: self._n_asked >= enough, PATIENCE_SECONDS)


def test_what_goes_and_comes_back_is_noticed_without_any_work() -> None:
    store, health = Store(), Health(Instruments())
    with probing(health, {"apdb": store.ping}, 0.001):
        # Two questions: the answer to the first is known when the second is asked.
        assert store.is_asked(2)
        assert health.is_up("apdb")
        store.error = ApdbUnavailableError("away")
        assert store.is_asked(3)
        assert not health.is_up("apdb")
        store.error = None
        assert store.is_asked(3)
        assert health.is_up("apdb")


def test_a_store_that_does_not_answer_holds_up_neither_the_other_nor_the_end() -> None:
    other, health, stuck = Store(), Health(Instruments()), threading.Event()

    def hang() -> None:
        stuck.wait(PATIENCE_SECONDS)

    with probing(health, {"apdb": hang, "cache": other.ping}, 0.001):
        assert other.is_asked(5)
    stuck.set()


def test_nobody_is_asked_after_the_end() -> None:
    store = Store()
    with probing(Health(Instruments()), {"asked": store.ping}, 0.001):
        assert store.is_asked(1)
    names = {thread.name for thread in threading.enumerate()}
    assert "probe-asked" not in names
