"""A survey on several hosts: Kafka, PostgreSQL, Valkey and each daemon have one of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from stream_assoc.core.model.batch import Batch
from stream_assoc.settings import Settings
from stream_assoc.tools.embedded import EmbeddedKafka, EmbeddedPostgresql, EmbeddedValkey
from tests.chaos.fleet import CAMERA
from tests.chaos.hosts import Bridge, Host
from tests.chaos.nights import BYTECODE, EXIT_SECONDS
from tests.contents import LEDGER, n_rows
from tests.integration.deployment import SHORT_SESSION, Deployment, deploy
from tests.services import kafka_jars

SESSION_SECONDS: Final = SHORT_SESSION["session.timeout.ms"] / 1000

IMPATIENT: Final[Mapping[str, Mapping[str, object]]] = {
    "kafka": {
        "partitions": len(CAMERA.detectors),
        "librdkafka_consumer": SHORT_SESSION,
        # A connection that is gone is noticed within seconds.
        "librdkafka": {"socket.timeout.ms": 3000, "reconnect.backoff.max.ms": 1000},
    },
    "apdb": {
        "connect_timeout_seconds": 2,
        "timeout_seconds": 1,
        "lock_timeout_seconds": 1,
        "idle_timeout_seconds": 3,
    },
    "redis": {"connect_timeout_seconds": 1, "timeout_seconds": 1},
    "daemon": {"micro_batch_messages": 3, "retry_max_seconds": 1},
    "logging": {"format": "json"},
}
"""Daemons that take a service for away while the network is still cut."""


@dataclass(frozen=True, slots=True)
class HostedDaemon:
    """``stream-assoc serve`` on a host of its own.

    Attributes
    ----------
    host : `Host`
    log : `pathlib.Path`
        What it writes, which is all that leaves the host.
    process : `subprocess.Popen`
    """

    host: Host
    log: Path
    process: subprocess.Popen[bytes]

    def check_is_alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return True


@dataclass(slots=True)
class Survey:
    """Servers, and what daemons there are.

    Attributes
    ----------
    deployment : `Deployment`
        As this machine reaches it, which has an address of its own.
    kafka, apdb, redis : `Host`
        Those of the servers.
    daemons : `list` [`HostedDaemon`]
    """

    bridge: Bridge
    kafka: Host
    apdb: Host
    redis: Host
    deployment: Deployment
    folder: Path
    daemons: list[HostedDaemon] = field(default_factory=list)

    @contextmanager
    def daemon(self, variables: Mapping[str, str] | None = None) -> Iterator[HostedDaemon]:
        """Run a daemon on a new host; at the end, ask it to stop and see that it does without a complaint."""
        host, number = self.bridge.host(), len(self.daemons)
        log = self.folder / f"daemon-{number}.log"
        environment = {**_environment(self.deployment.settings, number), **(variables or {})}
        with (
            log.open("ab") as stream,
            subprocess.Popen(
                host.command(sys.executable, "-m", "stream_assoc", "serve"),
                env=environment,
                stdout=stream,
                stderr=stream,
            ) as process,
        ):
            daemon = HostedDaemon(host, log, process)
            self.daemons.append(daemon)
            try:
                yield daemon
                process.terminate()
                assert process.wait(EXIT_SECONDS) == 0, log.read_text()
            finally:
                process.kill()
        assert "Traceback" not in log.read_text()

    def send(self, visits: Sequence[Sequence[Batch]]) -> None:
        """Send visits, each detector's batches to its partition."""
        for visit in visits:
            self.deployment.send_into([(one.id.detector, one) for one in visit])

    def await_members(self) -> None:
        """Wait until every daemon has partitions."""
        self.wait_until(lambda: self.deployment.n_working_members() == len(self.daemons))

    def await_everything(self) -> None:
        """Wait until all three commits of every message sent are made."""
        self.wait_until(lambda: self.deployment.n_committed() >= self.deployment.sent)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds, as long as every daemon lives."""
        self.deployment.wait_until(lambda: all(one.check_is_alive() for one in self.daemons) and condition())

    def n_counted(self) -> int:
        """Return how many batches are in the APDB."""
        return n_rows(self.deployment.settings.apdb.url.get_secret_value(), LEDGER)


@contextmanager
def survey(folder: Path) -> Iterator[Survey]:
    """Start servers on hosts of their own.

    Raises
    ------
    HostsUnavailableError
        If there can be none here.
    ServiceUnavailableError
        If Kafka's jars are missing.
    """
    with ExitStack() as stack:
        bridge = stack.enter_context(Bridge())
        kafka, apdb, redis = (bridge.host() for _ in range(3))
        broker = stack.enter_context(EmbeddedKafka(kafka_jars(), place=kafka.place))
        postgresql = stack.enter_context(EmbeddedPostgresql(place=apdb.place))
        valkey = stack.enter_context(EmbeddedValkey(place=redis.place))
        sections = {name: dict(section) for name, section in IMPATIENT.items()}
        deployment = deploy(broker.bootstrap_servers, valkey.url, postgresql.url, **sections)
        yield Survey(bridge, kafka, apdb, redis, deployment, folder)


def _environment(settings: Settings, number: int) -> dict[str, str]:
    """Return the environment of the number-th daemon, with these settings and nothing of this process's."""
    given = {
        f"STREAM_ASSOC_{section}__{name}".upper(): _as_text(value)
        for section in settings.model_fields_set
        for name, value in getattr(settings, section).model_dump(exclude_unset=True).items()
    }
    given["STREAM_ASSOC_KAFKA__TRANSACTIONAL_ID"] = f"{settings.kafka.transactional_id}.{number}"
    return {"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONPYCACHEPREFIX": str(BYTECODE), **given}


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)
