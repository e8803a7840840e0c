"""Three daemons on hosts of their own do what one does, whatever happens to hosts and to the network between them.

The first is on time; the clock of the second is ten minutes ahead, that of the third ten minutes behind.
How many faults there are is in the environment: STREAM_ASSOC_TEST_CHAOS_HOST_FAULTS (``make chaos``).
"""

import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch
from tests.chaos.clocks import clock_off_by
from tests.chaos.fleet import CAMERA
from tests.chaos.hosts import HostsUnavailableError
from tests.chaos.serial import NOTHING, in_order_of_transactions, judge
from tests.chaos.survey import SESSION_SECONDS, HostedDaemon, Survey, survey
from tests.pipeline.focal_plane import visits
from tests.services import ServiceUnavailableError

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SEED: Final = 18

N_FAULTS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_HOST_FAULTS", "2"))

CLOCKS_SECONDS: Final = (0, 600, -600)
"""How far the clock of each daemon is off."""

LONG_SECONDS: Final = 2.4 * SESSION_SECONDS
"""Longer than the session: the others get the partitions, and have the time to do the work."""

SHORT_SECONDS: Final = 0.4 * SESSION_SECONDS
"""Nobody is taken for dead."""

VISITS_BEFORE: Final = 2
VISITS_DURING: Final = 2
"""So much is sent for each fault: batches for every daemon."""

SERVICES: Final = ("kafka", "apdb", "redis")
BOTH_WAYS, THERE, BACK = WAYS = ("both ways", "there", "back")
"""What is lost: everything, a daemon's requests, or the answers."""

TELLTALES: Final = {
    "out of the group": "Consumer group session timed out",
    "tries again": '"event": "retrying"',
    "goes on without the cache": '"event": "going on without"',
    "gives up what is in hand": "micro-batch abandoned",
    "opens everything anew": '"event": "restarting"',
}
"""What a daemon's log says of what it has met."""


class Fault(Protocol):
    """What happens to a daemon's host, for some seconds."""

    @property
    def seconds(self) -> float: ...

    def on(self, survey: Survey, daemon: HostedDaemon) -> AbstractContextManager[None]:
        """Let it be so in the block."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The network between a daemon and some services loses what is sent."""

    services: tuple[str, ...]
    way: str
    seconds: float

    @contextmanager
    def on(self, survey: Survey, daemon: HostedDaemon) -> Iterator[None]:
        servers = [getattr(survey, service) for service in self.services]
        there = [(daemon.host, server) for server in servers] if self.way != BACK else []
        back = [(server, daemon.host) for server in servers] if self.way != THERE else []
        with ExitStack() as stack:
            for sender, receiver in there + back:
                sender.lose(receiver)
                stack.callback(sender.find, receiver)
            yield


@dataclass(frozen=True, slots=True)
class Suspension:
    """Every process of a host stands still."""

    seconds: float

    def on(self, survey: Survey, daemon: HostedDaemon) -> AbstractContextManager[None]:
        return daemon.host.suspended()


@dataclass(frozen=True, slots=True)
class Distance:
    """Everything to and from a host takes a twentieth of a second, and one frame in a hundred is lost."""

    seconds: float

    def on(self, survey: Survey, daemon: HostedDaemon) -> AbstractContextManager[None]:
        return daemon.host.far_away(0.05, 0.01)


FIRST: Final[Sequence[Fault]] = (Suspension(LONG_SECONDS), Cut(("apdb",), THERE, LONG_SECONDS))
"""Those of every run."""


def all_faults() -> Iterator[Fault]:
    """Generate each fault once, most of them in an order of chance."""
    yield from FIRST
    pairs = itertools.combinations(SERVICES, 2)
    lengths = (SHORT_SECONDS, LONG_SECONDS)
    cuts = itertools.product([*((one,) for one in SERVICES), *pairs], WAYS, lengths)
    faults: list[Fault] = [*itertools.starmap(Cut, cuts), *map(Suspension, lengths), *map(Distance, lengths)]
    for place in np.random.default_rng(SEED).permutation(len(faults)):
        if faults[place] not in FIRST:
            yield faults[place]


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Survey]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(survey(tmp_path))
        except (HostsUnavailableError, ServiceUnavailableError) as error:
            pytest.skip(str(error))
        yield running


def test_hosts_that_are_cut_off_and_suspended(several: Survey, tmp_path: Path) -> None:
    random = np.random.default_rng(SEED)
    faults = list(itertools.islice(itertools.cycle(all_faults()), N_FAULTS))
    nights = visits(CAMERA, (VISITS_BEFORE + VISITS_DURING) * N_FAULTS)
    sent: list[Batch] = []
    with ExitStack() as stack:
        for seconds in CLOCKS_SECONDS:
            stack.enter_context(several.daemon(clock_off_by(seconds)))
        for fault in faults:
            several.await_members()
            daemon = several.daemons[random.integers(len(several.daemons))]
            sent += live_through(several, daemon, fault, nights, random.uniform(0.0, 0.3))
    for daemon, seconds in zip(several.daemons, CLOCKS_SECONDS, strict=True):
        assert ("the clock of this host is" in daemon.log.read_text()) == bool(seconds)
    assert judge(several.deployment, sent, tmp_path, in_order_of_transactions) == NOTHING


def live_through(
    survey: Survey, daemon: HostedDaemon, fault: Fault, nights: Iterator[Sequence[Batch]], seconds: float
) -> list[Batch]:
    """Let something happen to a daemon at work, and more come while it lasts; wait until nothing shows any more."""
    before, during = (list(itertools.islice(nights, n)) for n in (VISITS_BEFORE, VISITS_DURING))
    logged = len(daemon.log.read_text())
    pause = threading.Event()
    survey.send(before)
    pause.wait(seconds)
    with fault.on(survey, daemon):
        survey.send(during)
        pause.wait(fault.seconds)
        n_waiting = survey.deployment.sent - survey.n_counted()
    mended = time.monotonic()
    survey.await_everything()
    survey.await_members()
    recovered = time.monotonic() - mended
    log = daemon.log.read_text()[logged:]
    did = ", ".join(name for name, telltale in TELLTALES.items() if telltale in log)
    print(f"{fault}: {n_waiting} of {survey.deployment.sent} wait; {did or 'nothing'}; {recovered:.1f} s", flush=True)
    return [one for visit in (*before, *during) for one in visit]
