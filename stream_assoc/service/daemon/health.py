"""Whether the daemon is alive, whether it is ready, and if not, why."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.exceptions import RegistryUnavailableError, StreamError
from stream_assoc.messaging.kafka.hooks import GroupState
from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.service.loop_instruments import LoopInstruments
from stream_assoc.stores.cache.exceptions import CacheError

APDB: Final = "apdb"
CACHE: Final = "cache"
KAFKA: Final = "kafka"
SCHEMA_REGISTRY: Final = "schema_registry"

Phase = Literal["starting", "waiting", "running", "restarting", "stopping"]

_SERVICES: Final = {
    ApdbError: APDB,
    CacheError: CACHE,
    RegistryUnavailableError: SCHEMA_REGISTRY,
    # The broader class comes last.
    StreamError: KAFKA,
}

WEDGED_AFTER_SECONDS: Final = 300.0
"""The default of daemon.wedged_after_seconds."""

LAST_ANSWER_SECONDS: Final = 2.0
"""How long the end of `probing` waits for a probe under way, so that no connection is opened after it."""

_NO_BROKER: Final = "no connection to a broker is up; check kafka.bootstrap_servers and the brokers"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a health question.

    Attributes
    ----------
    good : `bool`
        Sent as HTTP status 200 or 503.
    body : `dict`
        Sent as JSON; says why not.
    """

    good: bool
    body: Mapping[str, Any]


@dataclass(slots=True)
class _Service:
    """What is known of a service; `None` where nothing is wrong.

    Attributes
    ----------
    failure : `str` or `None`
        Why an action failed that needed it.
    silence : `str` or `None`
        Why it did not answer a probe.
    heard_at : `float` or `None`
        When it last answered a probe, on the monotonic clock; `None` if it is not probed.
    """

    failure: str | None = None
    silence: str | None = None
    heard_at: float | None = None


@dataclass(slots=True)
class Health:
    """The state of the daemon and its services, as the loop, the probes and the Kafka client report it.

    HTTP and Prometheus read it. Several threads may use it. It contacts no
    server, so that it answers at once, however long a server is silent.

    Parameters
    ----------
    instruments : `LoopInstruments`
        Show it to Prometheus.
    wedged_after_seconds : `float`, optional
        A loop without progress for so long is stuck.
    silent_after_seconds : `float`, optional
        A service that is probed and has not answered for so long counts as away.
    is_stopping : callable, optional
        Whether the daemon was asked to stop.
    monotonic : callable, optional
        A clock in seconds.
    """

    instruments: LoopInstruments
    wedged_after_seconds: float = WEDGED_AFTER_SECONDS
    silent_after_seconds: float = 30.0
    is_stopping: Callable[[], bool] = lambda: False
    monotonic: Callable[[], float] = time.monotonic
    on_phase: Callable[[Phase], None] = lambda phase: None
    on_progress: Callable[[], None] = lambda: None
    _phase: Phase = "starting"
    _progressed_at: float = 0.0
    _group: GroupState | None = None
    _services: dict[str, _Service] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.note_progress()

    def enter(self, phase: Phase) -> None:
        """Note the daemon's phase."""
        self._phase = phase
        if phase != "running":
            self._group = None
        self.on_phase(phase)
        self.note_progress()

    def note_progress(self) -> None:
        """Note that the main loop made progress: it tried something, or looked for messages."""
        self._progressed_at = self.monotonic()
        self.instruments.note_progress()
        self.on_progress()

    def answers(self, services: Collection[str]) -> None:
        """Show these services as up."""
        with self._lock:
            for name in services:
                self._service(name).failure = None
                self._services[name].silence = None

    def failed(self, error: RetriableError, *, is_tried_again: bool = True) -> None:
        """Count a failure of a service, and show that service as down.

        It is up again when the action succeeds (`recovered`), or, where the
        action is not retried, when the service next answers a probe.
        """
        for base, name in _SERVICES.items():
            if isinstance(error, base):
                self.instruments.count_retry(name)
                with self._lock:
                    service = self._service(name)
                    if is_tried_again:
                        service.failure = str(error)
                    else:
                        service.silence = str(error)
                return

    def recovered(self) -> None:
        """Show as up the services that had failed: the action succeeded."""
        with self._lock:
            for service in self._services.values():
                service.failure = None

    def heard(self, name: str) -> None:
        """Note that a service answered a probe."""
        with self._lock:
            service = self._service(name)
            service.silence, service.heard_at = None, self.monotonic()

    def silent(self, name: str, why: str) -> None:
        """Note that a service did not answer a probe."""
        with self._lock:
            self._service(name).silence = why

    def group_is(self, state: GroupState) -> None:
        """Note what the Kafka client reports of its group and its brokers."""
        before = self._group.n_rebalances if self._group is not None else 0
        self._group = state
        self.instruments.set_membership(
            joined=state.joined,
            n_partitions=state.n_partitions,
            n_rebalances=max(0, state.n_rebalances - before),
        )
        # The client reports only while it is polled, so no report says nothing about the brokers.
        with self._lock:
            self._service(KAFKA).silence = None if state.n_brokers_up else _NO_BROKER

    def alive(self) -> Verdict:
        """Tell whether the main loop makes progress; waiting for a service or for messages counts."""
        why = self._wedged()
        return Verdict(not why, {"alive": not why, "why": why, **self._life()})

    def ready(self) -> Verdict:
        """Tell whether batches that arrive now are processed: the daemon is in the group, every service answers."""
        why = self._wedged()
        if self.is_stopping():
            why.append("asked to stop")
        elif self._phase != "running":
            why.append(f"{self._phase}: not reading yet")
        with self._lock:
            services = {name: self._problem(name) for name in self._services}
        why += [f"{name}: {problem}" for name, problem in services.items() if problem]
        group = self._group
        joined = group is not None and group.joined
        if not joined and self._phase == "running":
            why.append("not a settled member of the consumer group (kafka.group_id)")
        body = {
            "ready": not why,
            "why": why,
            **self._life(),
            "services": {name: problem or "answers" for name, problem in services.items()},
            "consumer_group": {"joined": joined, "partitions": group.n_partitions if group is not None else 0},
        }
        return Verdict(not why, body)

    def is_up(self, name: str) -> bool:
        """Tell whether a service is up as far as is known."""
        with self._lock:
            return self._problem(name) is None

    def _service(self, name: str) -> _Service:
        if name not in self._services:
            self._services[name] = _Service()
            self.instruments.show_up(name, lambda: self.is_up(name))
        return self._services[name]

    def _problem(self, name: str) -> str | None:
        service = self._services[name]
        if service.failure is not None or service.silence is not None:
            return service.failure or service.silence
        # No probe runs before the daemon is open.
        if service.heard_at is not None and self._phase == "running":
            seconds = self.monotonic() - service.heard_at
            if seconds > self.silent_after_seconds:
                return f"no sign of life for {seconds:.0f} s"
        return None

    def _wedged(self) -> list[str]:
        seconds = self._seconds_without_progress()
        if seconds <= self.wedged_after_seconds:
            return []
        return [
            f"the main loop has made no progress for {seconds:.0f} s, longer than daemon.wedged_after_seconds = "
            f"{self.wedged_after_seconds:g}"
        ]

    def _seconds_without_progress(self) -> float:
        return self.monotonic() - self._progressed_at

    def _life(self) -> dict[str, object]:
        return {
            "phase": "stopping" if self.is_stopping() else self._phase,
            "seconds_since_last_turn": round(self._seconds_without_progress(), 1),
        }


@contextlib.contextmanager
def probing(health: Health, probes: Mapping[str, Callable[[], None]], every_seconds: float) -> Iterator[None]:
    """Probe services for the length of the block, each from a thread of its own.

    A silent store delays neither the probe of the other store nor the end of
    the block.

    Parameters
    ----------
    health : `Health`
        Receives each answer, or the reason why there is none.
    probes : `Mapping` [`str`, callable]
        For each service a function that returns if it answers, and raises an error of this package if not.
    every_seconds : `float`
        Time between two probes.
    """
    over = threading.Event()
    threads = [
        threading.Thread(
            target=_keep_asking,
            args=(health, service, probe, every_seconds, over),
            name=f"probe-{service}",
            daemon=True,
        )
        for service, probe in probes.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(LAST_ANSWER_SECONDS)


def _keep_asking(
    health: Health, service: str, probe: Callable[[], None], every_seconds: float, over: threading.Event
) -> None:
    while not over.is_set():
        try:
            probe()
        except StreamAssocError as error:
            # A store that is closed because the block is over has not failed.
            if not over.is_set():
                health.silent(service, str(error))
        else:
            health.heard(service)
        over.wait(every_seconds)
