"""Whether the daemon lives, whether it can do its work, and if not, why."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from stream_assoc.exceptions import RetriableError, StreamAssocError
from stream_assoc.messaging.exceptions import RegistryUnavailableError, StreamError
from stream_assoc.messaging.kafka.statistics import GroupState
from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.service.instruments import Instruments
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
"""How long the end waits for a question that is under way, so that no connection is opened behind it."""

_NO_BROKER: Final = "no connection to a broker is up; check kafka.bootstrap_servers and the brokers"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a health question.

    Attributes
    ----------
    good : `bool`
        Told as HTTP status 200 or 503.
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
        Why the work in hand could not be done with it.
    silence : `str` or `None`
        Why it did not answer when it was asked for a sign of life.
    heard_at : `float` or `None`
        When it last answered such a question, on the monotonic clock; `None` if it is not asked.
    """

    failure: str | None = None
    silence: str | None = None
    heard_at: float | None = None


@dataclass(slots=True)
class Health:
    """What the loop, the probes and the Kafka client tell, and what HTTP and Prometheus are told of it.

    Threads may use it at once. Nothing here asks a server: a question is
    answered at once, however long the server that it is about is silent.

    Parameters
    ----------
    instruments : `Instruments`
        Where it is shown.
    wedged_after_seconds : `float`, optional
        A loop that has not gone round for that long is stuck.
    silent_after_seconds : `float`, optional
        A service that is asked for signs of life, and has given none for that
        long, counts as away.
    is_stopping : callable, optional
        Whether the daemon was asked to stop.
    monotonic : callable, optional
        A clock in seconds.
    """

    instruments: Instruments
    wedged_after_seconds: float = WEDGED_AFTER_SECONDS
    silent_after_seconds: float = 30.0
    is_stopping: Callable[[], bool] = lambda: False
    monotonic: Callable[[], float] = time.monotonic
    on_phase: Callable[[Phase], None] = lambda phase: None
    on_turn: Callable[[], None] = lambda: None
    _phase: Phase = "starting"
    _turned_at: float = 0.0
    _group: GroupState | None = None
    _services: dict[str, _Service] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.turn()

    def enter(self, phase: Phase) -> None:
        """Note in which part of its life the daemon is."""
        self._phase = phase
        if phase != "running":
            self._group = None
        self.on_phase(phase)
        self.turn()

    def turn(self) -> None:
        """Note that the loop goes round: it has tried something, or looked for something to do."""
        self._turned_at = self.monotonic()
        self.instruments.note_turn()
        self.on_turn()

    def answers(self, services: Collection[str]) -> None:
        """Show these services as up."""
        with self._lock:
            for name in services:
                self._service(name).failure = None
                self._services[name].silence = None

    def failed(self, error: RetriableError, *, is_tried_again: bool = True) -> None:
        """Count a failure under the service that it came from, and show that one as down.

        It is up again when what had failed is done (`recovered`), or, where
        that is not tried again, at its next sign of life.
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
        """Show as up what had failed: the work is done."""
        with self._lock:
            for service in self._services.values():
                service.failure = None

    def heard(self, name: str) -> None:
        """Note a sign of life of a service."""
        with self._lock:
            service = self._service(name)
            service.silence, service.heard_at = None, self.monotonic()

    def silent(self, name: str, why: str) -> None:
        """Note that a service was asked for a sign of life in vain."""
        with self._lock:
            self._service(name).silence = why

    def group_is(self, state: GroupState) -> None:
        """Note what the Kafka client tells of its group and its brokers."""
        before = self._group.n_rebalances if self._group is not None else 0
        self._group = state
        self.instruments.set_membership(
            joined=state.joined,
            n_partitions=state.n_partitions,
            n_rebalances=max(0, state.n_rebalances - before),
        )
        # Told while somebody polls: silence of the client says nothing of the brokers.
        with self._lock:
            self._service(KAFKA).silence = None if state.n_brokers_up else _NO_BROKER

    def alive(self) -> Verdict:
        """Tell whether the loop goes round; one that waits for a service, or for messages, does."""
        why = self._wedged()
        return Verdict(not why, {"alive": not why, "why": why, **self._life()})

    def ready(self) -> Verdict:
        """Tell whether batches that come now are processed: in the group, every service answers."""
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
        """Tell whether nothing is known against a service."""
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
        # While the daemon is being opened nobody asks.
        if service.heard_at is not None and self._phase == "running":
            seconds = self.monotonic() - service.heard_at
            if seconds > self.silent_after_seconds:
                return f"no sign of life for {seconds:.0f} s"
        return None

    def _wedged(self) -> list[str]:
        seconds = self._seconds_since_turn()
        if seconds <= self.wedged_after_seconds:
            return []
        return [
            f"the loop has not gone round for {seconds:.0f} s, longer than daemon.wedged_after_seconds = "
            f"{self.wedged_after_seconds:g}"
        ]

    def _seconds_since_turn(self) -> float:
        return self.monotonic() - self._turned_at

    def _life(self) -> dict[str, object]:
        return {
            "phase": "stopping" if self.is_stopping() else self._phase,
            "seconds_since_last_turn": round(self._seconds_since_turn(), 1),
        }


@contextlib.contextmanager
def probing(health: Health, probes: Mapping[str, Callable[[], None]], every_seconds: float) -> Iterator[None]:
    """Ask services for signs of life for the length of the block, each from a thread of its own.

    A store that is silent for long holds up nobody: neither the question after
    the other store nor the end of the block.

    Parameters
    ----------
    health : `Health`
        Told of each answer, and why there is none.
    probes : `Mapping` [`str`, callable]
        For each service what returns if it answers, and raises an error of this package if not.
    every_seconds : `float`
        Between two questions.
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
            # A store that is closed because the block is over is no news.
            if not over.is_set():
                health.silent(service, str(error))
        else:
            health.heard(service)
        over.wait(every_seconds)
