"""Daemons of an earlier release and of this one work on the same tables, cache and topics, in turns and side by side.

Forward and back: who upgrades may find that he has to go back. Producers are upgraded last, so
batches come as the earlier release writes them.
"""

import itertools
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch
from tests.chaos.fleet import CAMERA, deploy_for_a_fleet
from tests.chaos.nights import EXIT_SECONDS, Night, batches, unsent_night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.chaos.releases import source_of
from tests.chaos.serial import NOTHING, judge
from tests.pipeline.focal_plane import visits

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.slow]

LAST_RELEASE: Final = "8273487"
"""The first whose tables have the version of today's. Set it to the last release when one is made."""

N_DAEMONS: Final = 2
N_VISITS: Final = 12
VISITS_BETWEEN_REPLACEMENTS: Final = 2
VISITS_IN_FLIGHT: Final = 4

Variables = dict[str, str]


@pytest.fixture(scope="module")
def old() -> Variables:
    """The environment in which a daemon is one of the earlier release."""
    return {"PYTHONPATH": str(source_of(LAST_RELEASE))}


@pytest.fixture(params=["postgresql", "sqlite"])
def night(request: pytest.FixtureRequest, kafka_bootstrap: str, valkey_url: str, tmp_path: Path) -> Night:
    url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")
    night = unsent_night_on(kafka_bootstrap, valkey_url, url, tmp_path)
    night.deployment.send(batches())
    return night


def test_one_goes_on_where_the_other_was_killed(night: Night, old: Variables, expected: Outcome) -> None:
    random = np.random.default_rng(12)
    for variables in itertools.islice(itertools.cycle([old, {}]), 6):
        with night.life(variables) as process:
            night.come_to_work(process, random)
            process.kill()
    assert 0 < night.n_counted() < len(batches())
    night.finish()
    assert_nothing_shows(night.outcome(), expected)


class Rolling:
    """Daemons of which each is replaced, one after the other, by one of another release.

    Parameters
    ----------
    night : `Night`
    stack : `ExitStack`
        Ends those that are left.
    """

    def __init__(self, night: Night, stack: ExitStack) -> None:
        self._night = night
        self._stack = stack
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def replace(self, number: int, variables: Variables) -> None:
        """Ask a daemon to stop, and start another under its name; return when all that run have work."""
        self.stop(number)
        name = f"{self._night.deployment.settings.kafka.transactional_id}.{number}"
        names = {
            "STREAM_ASSOC_KAFKA__GROUP_INSTANCE_ID": f"daemon-{number}",
            "STREAM_ASSOC_KAFKA__TRANSACTIONAL_ID": name,
        }
        self._processes[number] = self._stack.enter_context(self._night.life(names | variables))
        self.wait_until(lambda: self._night.deployment.n_working_members() == len(self._processes))

    def stop(self, number: int) -> None:
        """Ask a daemon to stop, if there is one, and see that it does without a complaint."""
        process = self._processes.pop(number, None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(EXIT_SECONDS) == 0, self._night.log.read_text()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until this holds, as long as every daemon lives."""
        self._night.deployment.wait_until(lambda: self._are_alive() and condition())

    def _are_alive(self) -> bool:
        assert all(process.poll() is None for process in self._processes.values()), self._night.log.read_text()
        return True


def test_daemons_are_replaced_one_by_one_and_back(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path, old: Variables
) -> None:
    deployment = deploy_for_a_fleet(kafka_bootstrap, valkey_url, postgresql_database)
    night = Night(deployment, tmp_path)
    steps = itertools.chain(*(((number, release) for number in range(N_DAEMONS)) for release in ({}, old, {})))
    sent: list[Batch] = []
    with ExitStack() as stack:
        daemons = Rolling(night, stack)
        for number in range(N_DAEMONS):
            daemons.replace(number, old)
        for number, visit in enumerate(visits(CAMERA, N_VISITS), start=1):
            in_flight = (VISITS_IN_FLIGHT - 1) * len(visit)
            daemons.wait_until(lambda: night.n_counted() >= len(sent) - in_flight)  # noqa: B023 - called at once
            deployment.send_into([(one.id.detector, one) for one in visit])
            sent += visit
            if number % VISITS_BETWEEN_REPLACEMENTS == 0:
                daemons.replace(*next(steps))
        assert next(steps, None) is None, "not every replacement was tried"
        daemons.wait_until(lambda: deployment.n_committed() >= deployment.sent)
        for number in range(N_DAEMONS):
            daemons.stop(number)
    assert judge(deployment, sent, tmp_path) == NOTHING
