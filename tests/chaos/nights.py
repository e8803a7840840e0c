"""A small night that ``stream-assoc serve``, as a process, lives through in as many lives as it takes."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stream_assoc.core.model.batch import Batch
from stream_assoc.failpoints import VARIABLE
from stream_assoc.tools.simulation.night import simulate
from tests.chaos.outcome import Outcome, outcome_of
from tests.contents import LEDGER, OUTBOX, columns
from tests.integration.deployment import Deployment, deploy
from tests.pipeline.skies import PINNED, SMALL_NIGHT

LIFE_SECONDS = 120.0
"""No life takes that long, not on a busy machine either."""

EXIT_SECONDS = 60.0

BYTECODE = Path(__file__).parents[2] / ".cache" / "bytecode"
"""Kept even where PYTHONDONTWRITEBYTECODE is set: most of a short life is importing."""

SECTIONS: dict[str, dict[str, Any]] = {
    # One partition: the order is that of sending, so that an object's sources always come in the same order.
    "kafka": {"partitions": 1},
    "daemon": {**PINNED["daemon"], "micro_batch_messages": 2, "poll_timeout_seconds": 0.2},
    # So few that every life writes some, and a cold one folds onto them.
    "statistics": {"checkpoint_every": 4},
}


@functools.cache
def batches() -> tuple[Batch, ...]:
    """Twenty visits of two detectors that overlap."""
    return tuple(simulated.batch for simulated in simulate(SMALL_NIGHT.model_copy(update={"n_visits": 20})))


@dataclass(frozen=True, slots=True)
class Night:
    """The batches of a night in Kafka, and the daemon that is to process them."""

    deployment: Deployment
    folder: Path
    n_batches: int = field(default_factory=lambda: len(batches()))

    @property
    def apdb_url(self) -> str:
        return self.deployment.settings.apdb.url.get_secret_value()

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    def n_counted(self) -> int:
        return len(columns(self.apdb_url, LEDGER, "visit"))

    def n_in_outbox(self) -> int:
        return len(columns(self.apdb_url, OUTBOX, "visit"))

    def die_at(self, failpoint: str, count: int = 1) -> None:
        """Live until this failpoint is reached for the count-th time."""
        with self.life({VARIABLE: f"{failpoint}:{count}"}) as process:
            status = process.wait(LIFE_SECONDS)
        assert status == -signal.SIGKILL, f"{failpoint}: {status}\n{self.log.read_text()}"

    def while_stopped_at(self, failpoint: str, count: int, meanwhile: Callable[[], object]) -> None:
        """Live to this failpoint, stand still there while something is done, and live until another batch counts."""
        with self.life({VARIABLE: f"{failpoint}:{count}:stop"}) as process:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), f"{failpoint}: {status}\n{self.log.read_text()}"
            meanwhile()
            before = self.n_counted()
            process.send_signal(signal.SIGCONT)
            self._await_another(process, before)
            process.kill()

    def die_when_a_batch_counts(self) -> float:
        """Live until the first batch of this life is in the APDB; return how many seconds that took."""
        before = self.n_counted()
        with self.life() as process:
            start = time.monotonic()
            self._await_another(process, before)
            seconds = time.monotonic() - start
            process.kill()
        return seconds

    def die_after(self, seconds: float) -> None:
        """Live for so long."""
        with self.life() as process:
            self.live_on(process, seconds)
            process.kill()

    def finish(self) -> None:
        """Live until everything is committed."""
        with self.life() as process:
            self.finish_life(process)

    def finish_life(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until everything is committed, and ask the daemon to stop."""
        self.deployment.wait_until(lambda: self._is_done(process))
        process.send_signal(signal.SIGTERM)
        # Where an earlier life did the last of the work, this one may not have come to its signal handlers yet.
        assert process.wait(EXIT_SECONDS) in (0, -signal.SIGTERM), self.log.read_text()

    def come_to_work(self, process: subprocess.Popen[bytes], random: np.random.Generator) -> None:
        """Live until another batch counts, and a random moment more."""
        self._await_another(process, self.n_counted())
        self.live_on(process, random.uniform(0.0, 0.15))
        assert self.n_counted() < len(batches()), "the night is over"

    def live_on(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Live for so long, which the daemon must."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(seconds)
            raise AssertionError(f"the daemon ended with status {status}\n{self.log.read_text()}")

    def n_failures(self) -> int:
        """Return how often the daemon has found a service away."""
        log = self.log.read_text()
        # A write to the cache that fails is not tried again.
        return sum(log.count(f'"event": "{event}"') for event in ("retrying", "going on without"))

    def outcome(self) -> Outcome:
        return outcome_of(self.deployment)

    @contextlib.contextmanager
    def life(self, variables: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon; it has ended at the end."""
        environment = {**environment_of(self.deployment), **(variables or {})}
        command = [sys.executable, "-m", "stream_assoc", "serve"]
        with (
            self.log.open("ab") as log,
            subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log) as process,
        ):
            try:
                yield process
            finally:
                process.kill()
        assert "Traceback" not in self.log.read_text()

    def _await_another(self, process: subprocess.Popen[bytes], n_counted: int) -> None:
        """Wait until a living daemon has counted more batches than these."""
        self.deployment.wait_until(
            lambda: self._lives(process) and self.n_counted() > n_counted, look_every_seconds=0.02
        )

    def _lives(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log.read_text()
        return True

    def _is_done(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether all three commits of every batch are made."""
        is_counted = self.n_counted() == self.n_batches and self.n_in_outbox() == 0
        return self._lives(process) and is_counted and self.deployment.n_committed() == self.n_batches


def more_than(count: int, counted: Callable[[], int]) -> Callable[[], bool]:
    """Return what tells whether something is counted more often than now."""
    return lambda: counted() > count


def night_on(kafka_bootstrap: str, valkey_url: str, apdb_url: str, folder: Path) -> Night:
    """Return a night, its batches sent."""
    night = unsent_night_on(kafka_bootstrap, valkey_url, apdb_url, folder)
    night.deployment.send(batches())
    return night


def unsent_night_on(
    kafka_bootstrap: str, valkey_url: str, apdb_url: str, folder: Path, replication_factor: int = 1
) -> Night:
    """Return a night whose batches are still to be sent, in their order."""
    sections = {name: dict(section) for name, section in SECTIONS.items()}
    sections["kafka"]["replication_factor"] = replication_factor
    return Night(deploy(kafka_bootstrap, valkey_url, apdb_url, **sections), folder)


def environment_of(deployment: Deployment) -> dict[str, str]:
    """Return the environment of a daemon with these settings and none of this process's."""
    settings = deployment.settings
    kafka = settings.kafka
    names = ("bootstrap_servers", "group_id", "transactional_id")
    topics = ("input", "objects", "forced_sources", "metrics", "dead_letter", "next_visits", "alerts")
    ours = {
        **{f"kafka__{name}": getattr(kafka, name) for name in (*names, *(f"{topic}_topic" for topic in topics))},
        # A static member that comes back gets its partitions at once; another would wait for the dead one's session.
        "kafka__group_instance_id": "the-only-one",
        "redis__url": settings.redis.url.get_secret_value(),
        "redis__prefix": settings.redis.prefix,
        "redis__cluster": settings.redis.cluster,
        "redis__sentinel_service": settings.redis.sentinel_service,
        "redis__timeout_seconds": settings.redis.timeout_seconds,
        "apdb__url": settings.apdb.url.get_secret_value(),
        **{f"daemon__{name}": getattr(settings.daemon, name) for name in SECTIONS["daemon"]},
        "statistics__checkpoint_every": settings.statistics.checkpoint_every,
        "images__roots": json.dumps(settings.images.roots),
        "logging__format": "json",
    }
    if settings.operators.secret is not None:
        ours["operators__secret"] = settings.operators.secret.get_secret_value()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    inherited["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    named = {f"STREAM_ASSOC_{name.upper()}": str(value) for name, value in ours.items() if value is not None}
    return inherited | named
