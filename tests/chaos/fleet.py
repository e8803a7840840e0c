"""Daemons of one group, each a process: while some work, others come, go, freeze and die."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.daemon_process import serve
from tests.contents import LEDGER, n_rows
from tests.integration.deployment import SHORT_SESSION, Deployment, deploy
from tests.pipeline.focal_plane import FocalPlane

# Every daemon is forked from one process that is ready to work: getting there takes seconds.
FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([serve.__module__])

EXIT_SECONDS: Final = 60.0

CAMERA: Final = FocalPlane(columns=(1.0, 20.0), rows=(8.0,))


def deploy_for_a_fleet(
    kafka_bootstrap: str, valkey_url: str, apdb_url: str, **sections: Mapping[str, object]
) -> Deployment:
    """Return a deployment for the detectors of `CAMERA`, with a partition for each."""
    return deploy(
        kafka_bootstrap,
        valkey_url,
        apdb_url,
        kafka={
            "partitions": len(CAMERA.detectors),
            "librdkafka_consumer": SHORT_SESSION,
            **sections.pop("kafka", {}),
        },
        # Hands of several batches want the cells of several detectors at once.
        daemon={"micro_batch_messages": 3},
        **sections,
    )


class Fleet:
    """Daemons on one deployment that can be told to leave, killed and frozen.

    Parameters
    ----------
    deployment : `Deployment`
        With at least as many partitions as there are daemons.
    folder : `Path`
        Where each daemon writes its log.
    """

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self._folder = folder
        self._members: dict[int, ForkServerProcess] = {}

    @contextlib.contextmanager
    def running(self, n_daemons: int) -> Iterator[None]:
        """Run so many daemons; at the end, ask each to stop and see that it does without a complaint."""
        try:
            for number in range(n_daemons):
                self._start(number)
            self._await_members(n_daemons)
            yield
            self.scale_to(0)
        finally:
            for process in self._members.values():
                process.kill()
                process.join()

    def await_counted(self, n_batches: int) -> None:
        """Wait until so many batches are in the APDB."""
        self.await_condition(lambda: n_rows(self._apdb_url, LEDGER) >= n_batches)

    def await_everything(self) -> None:
        """Wait until all three commits of every message sent are made."""
        self.await_condition(lambda: self.deployment.n_committed() >= self.deployment.sent)

    def await_condition(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds, as long as every daemon lives."""
        self.deployment.wait_until(lambda: self._is_alive() and condition())

    def logs(self) -> str:
        """Return what all daemons have logged."""
        return "".join(path.read_text() for path in self._folder.glob("daemon-*.log"))

    def scale_to(self, n_daemons: int) -> None:
        """Have so many daemons: start more, or ask the youngest to stop, all at once as an autoscaler does."""
        for number in range(len(self._members), n_daemons):
            self._start(number)
        leaving = range(n_daemons, len(self._members))
        for number in leaving:
            self._members[number].terminate()
        for number in leaving:
            self._await_exit(number)
        self._await_members(n_daemons)

    def counts(self, metric: str, **labels: str) -> list[float]:
        """Return what each daemon that has stopped had counted."""
        samples = [
            sample.value
            for path in self._folder.glob("daemon-*.prom")
            for family in text_string_to_metric_families(path.read_text())
            for sample in family.samples
            if sample.name == metric and sample.labels == labels
        ]
        assert samples, metric
        return samples

    def leave(self, number: int) -> None:
        """Let a daemon leave in order, and come back: its partitions go to the others, and some return."""
        self._members[number].terminate()
        self._await_exit(number)
        self._start(number)

    def kill(self, number: int) -> None:
        """Kill a daemon, and start it anew when the others have what it had in hand."""
        n_members = len(self._members)
        process = self._members.pop(number)
        process.kill()
        process.join()
        self._await_members(n_members - 1)
        self._start(number)

    def freeze(self, number: int) -> None:
        """Stop a daemon where it is, locks and all, until the others take it for dead; then let it go on."""
        pid = self._pid(number)
        os.kill(pid, signal.SIGSTOP)
        try:
            self._await_members(len(self._members) - 1)
        finally:
            os.kill(pid, signal.SIGCONT)

    def freeze_before_a_commit(self, number: int, send: Callable[[], object]) -> None:
        """Let a daemon stand still before its next commit, cells and all, until the others have done it.

        Parameters
        ----------
        number : `int`
            Which daemon.
        send : callable
            Sends messages into all partitions, so that there is something to commit.
        """
        self._await_members(len(self._members))
        pid = self._pid(number)
        os.kill(pid, signal.SIGUSR1)
        send()
        self.await_condition(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        try:
            self.await_everything()
        finally:
            os.kill(pid, signal.SIGCONT)

    def _pid(self, number: int) -> int:
        pid = self._members[number].pid
        assert pid is not None
        return pid

    @property
    def _apdb_url(self) -> str:
        return self.deployment.settings.apdb.url.get_secret_value()

    def _log(self, number: int) -> Path:
        return self._folder / f"daemon-{number}.log"

    def _start(self, number: int) -> None:
        settings = self.deployment.settings
        names: dict[str, object] = {"transactional_id": f"{settings.kafka.transactional_id}.{number}"}
        if settings.kafka.leave_group_on_stop:
            # Others leave anyway.
            names["group_instance_id"] = f"daemon-{number}"
        kafka = settings.kafka.model_copy(update=names)
        process = FORKS.Process(
            target=serve, args=(settings.model_copy(update={"kafka": kafka}), self._log(number)), daemon=True
        )
        process.start()
        self._members[number] = process

    def _await_exit(self, number: int) -> None:
        process = self._members.pop(number)
        process.join(EXIT_SECONDS)
        # A daemon may be asked to stop before it has come to its signal handlers.
        assert process.exitcode in (0, -signal.SIGTERM), self._log(number).read_text()

    def _await_members(self, n_members: int) -> None:
        self.await_condition(lambda: self.deployment.n_working_members() == n_members)

    def _is_alive(self) -> bool:
        for number, process in self._members.items():
            assert process.exitcode is None, self._log(number).read_text()
        return True
