"""The network to Kafka is cut while the daemon works, and nobody is told: the night comes out the same.

How long it is cut is in the environment: STREAM_ASSOC_TEST_CHAOS_CUT_SECONDS (``make chaos``).
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.tools.embedded.kafka import EmbeddedKafka, free_ports
from tests.chaos.nights import EXIT_SECONDS, Night, batches, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.chaos.proxy import CuttableProxy
from tests.services import ServiceUnavailableError, kafka_jars

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

CUT_SECONDS = float(os.environ.get("STREAM_ASSOC_TEST_CHAOS_CUT_SECONDS", "3"))

LONG_SECONDS = 10.0


@pytest.fixture(scope="module")
def proxied_broker() -> Iterator[tuple[EmbeddedKafka, CuttableProxy]]:
    """A Kafka of the test's own, and a way to it that can be cut."""
    try:
        jars = kafka_jars()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    [port] = free_ports(1)
    with CuttableProxy("127.0.0.1", port) as proxy, EmbeddedKafka(jars, proxied_ports=(port, proxy.port)) as broker:
        yield broker, proxy


def test_the_network_to_kafka_is_cut_and_mended(
    proxied_broker: tuple[EmbeddedKafka, CuttableProxy],
    valkey_url: str,
    postgresql_database: str,
    expected: Outcome,
    tmp_path: Path,
) -> None:
    broker, proxy = proxied_broker
    night = night_on(broker.bootstrap_servers, valkey_url, postgresql_database, tmp_path)
    random = np.random.default_rng(11)
    with night.life(through(proxy)) as process:
        for is_dead in (False, True):
            cut_in_the_middle_of_work(night, process, proxy, random.uniform(0.0, 0.15))
            live_on(night, process, CUT_SECONDS)
            proxy.mend(dead=is_dead)
        night.finish_life(process)
    assert_nothing_shows(night.outcome(), expected)


@pytest.mark.skipif(CUT_SECONDS < LONG_SECONDS, reason="takes half a minute: make chaos runs it")
def test_a_signal_while_the_network_to_kafka_is_cut(
    proxied_broker: tuple[EmbeddedKafka, CuttableProxy],
    valkey_url: str,
    postgresql_database: str,
    expected: Outcome,
    tmp_path: Path,
) -> None:
    broker, proxy = proxied_broker
    night = night_on(broker.bootstrap_servers, valkey_url, postgresql_database, tmp_path)
    with night.life(through(proxy) | {"STREAM_ASSOC_DAEMON__DRAIN_DEADLINE_SECONDS": "1"}) as process:
        cut_in_the_middle_of_work(night, process, proxy, seconds=0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(EXIT_SECONDS) == 0
    proxy.mend(dead=True)
    # The next life need not come through the proxy.
    night.finish()
    assert_nothing_shows(night.outcome(), expected)


def through(proxy: CuttableProxy) -> dict[str, str]:
    """Return the environment of a daemon that comes to Kafka this way."""
    return {
        "STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{proxy.port}",
        # Requests are given up while the network is cut, whose answers come when it is mended.
        "STREAM_ASSOC_KAFKA__LIBRDKAFKA__SOCKET_TIMEOUT_MS": "2000",
    }


def cut_in_the_middle_of_work(
    night: Night, process: subprocess.Popen[bytes], proxy: CuttableProxy, seconds: float
) -> None:
    """Cut the network some time after a batch has counted."""
    so_far = night.n_counted()
    night.deployment.wait_until(lambda: night.n_counted() > so_far, look_every_seconds=0.02)
    live_on(night, process, seconds)
    assert night.n_counted() < len(batches()), "the night is over"
    proxy.cut()


def live_on(night: Night, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let the daemon live for so long, which it must."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = process.wait(seconds)
        raise AssertionError(f"the daemon ended with status {status}\n{night.log.read_text()}")
