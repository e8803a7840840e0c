"""The network to a store is cut while the daemon works, and nobody is told: the night comes out the same.

For how long, and in how many nights, is in the environment: STREAM_ASSOC_TEST_CHAOS_CUT_SECONDS and
STREAM_ASSOC_TEST_CHAOS_NIGHTS (``make chaos``).
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.networks import network_to_postgresql, network_to_valkey
from tests.chaos.nights import Night, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.chaos.proxy import CuttableProxy

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

CUT_SECONDS = float(os.environ.get("STREAM_ASSOC_TEST_CHAOS_CUT_SECONDS", "3"))

N_NIGHTS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_NIGHTS", "1"))

IMPATIENT = {
    "STREAM_ASSOC_APDB__CONNECT_TIMEOUT_SECONDS": "2",
    "STREAM_ASSOC_APDB__TIMEOUT_SECONDS": "0.5",
    "STREAM_ASSOC_APDB__LOCK_TIMEOUT_SECONDS": "0.5",
    "STREAM_ASSOC_REDIS__CONNECT_TIMEOUT_SECONDS": "0.5",
    "STREAM_ASSOC_REDIS__TIMEOUT_SECONDS": "0.5",
    "STREAM_ASSOC_DAEMON__RETRY_MAX_SECONDS": "1",
}
"""A daemon that takes a service for away while the network is still cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """When the network is cut, and what becomes of the connections.

    Attributes
    ----------
    request : `bytes`
        At which one; nothing for any instant of the work.
    is_delivered : `bool`
        Whether that request still arrives, so that only its answer is lost.
    is_deadly : `bool`
        Whether the connections never work again.
    """

    request: bytes = b""
    is_delivered: bool = False
    is_deadly: bool = False


CUTS = (
    ("postgresql", Cut(b"COMMIT", is_delivered=True, is_deadly=True)),
    ("valkey", Cut(b"MSET", is_delivered=True)),
    ("postgresql", Cut()),
    ("valkey", Cut(is_deadly=True)),
)


@pytest.mark.parametrize("seed", range(N_NIGHTS))
def test_the_networks_to_the_stores_are_cut_and_mended(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, expected: Outcome, tmp_path: Path, seed: int
) -> None:
    random = np.random.default_rng(seed)
    night = night_on(kafka_bootstrap, valkey_url, postgresql_database, tmp_path)
    with network_to_postgresql(postgresql_database) as postgresql, network_to_valkey(valkey_url) as valkey:
        proxies = {"postgresql": postgresql.proxy, "valkey": valkey.proxy}
        urls = {"STREAM_ASSOC_APDB__URL": postgresql.url, "STREAM_ASSOC_REDIS__URL": valkey.url}
        with night.life({**IMPATIENT, **urls}) as process:
            for server, cut in CUTS:
                night.come_to_work(process, random)
                live_through(night, process, proxies[server], cut)
            night.finish_life(process)
    assert_nothing_shows(night.outcome(), expected)


def live_through(night: Night, process: subprocess.Popen[bytes], proxy: CuttableProxy, cut: Cut) -> None:
    """Live while the network is cut: for as long as asked, and until the daemon has noticed."""
    noticed = night.n_failures()
    if cut.request:
        proxy.cut_at(cut.request, delivered=cut.is_delivered)
        night.deployment.wait_until(lambda: proxy.is_cut, look_every_seconds=0.02)
    else:
        proxy.cut()
    night.live_on(process, CUT_SECONDS)
    night.deployment.wait_until(lambda: night.n_failures() > noticed)
    proxy.mend(dead=cut.is_deadly)
