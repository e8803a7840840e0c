"""``stream-assoc serve`` as operators run it: a process, configured by its environment, ended by a signal."""

import contextlib
import functools
import os
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_assoc.tools.embedded.kafka import free_ports
from tests.contents import LEDGER, OUTBOX, columns, contents
from tests.integration.deployment import Deployment
from tests.integration.program import EXIT_SECONDS, PROGRAM, environment, environment_of, serve
from tests.pipeline.skies import night

pytestmark = pytest.mark.integration


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(EXIT_SECONDS)


def is_running_until_done(process: subprocess.Popen[str], deployment: Deployment, n_messages: int) -> bool:
    assert process.poll() is None, "the daemon has ended"
    return deployment.n_committed() >= n_messages


def assert_consistent(deployment: Deployment) -> None:
    """Check that what is in the APDB, what is committed to Kafka and what is published are the same batches."""
    url = deployment.settings.apdb.url.get_secret_value()
    counted = sorted(columns(url, LEDGER, "visit", "detector"))
    assert len(counted) == deployment.n_committed()
    assert sorted((one.visit, one.detector) for one in deployment.metrics()) == counted
    assert contents(url, OUTBOX)[OUTBOX] == []


def shows(port: int, expected: set[str]) -> bool:
    """Tell whether all of that is among the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page: str = answer.read().decode()
    return all(one in page for one in expected)


def test_it_processes_shows_metrics_and_ends_on_sigterm(deployed: Callable[..., Deployment], tmp_path: Path) -> None:
    deployment = deployed()
    (port,) = free_ports(1)
    steps = ("lock", "open", "read_cache", "encode", "store", "write_cache", "publish", "clear_outbox")
    expected = {
        f'stream_assoc_batches_total{{outcome="processed"}} {float(len(night()))}',
        "stream_assoc_lag_messages{",
        *(f'stream_assoc_service_up{{service="{service}"}} 1.0' for service in ("apdb", "cache", "kafka")),
        *(f'stream_assoc_cache_reads_total{{kind="{kind}",result="hit"}}' for kind in ("tile", "state")),
        *(f'stream_assoc_micro_batch_step_seconds_count{{step="{step}"}}' for step in steps),
    }
    deployment.send(night())
    with serve(tmp_path, environment_of(deployment, metrics__prometheus_port=port)) as process:
        deployment.wait_until(lambda: is_running_until_done(process, deployment, deployment.sent))
        # What is committed is written to the cache after that, and the lag is measured from time to time.
        deployment.wait_until(lambda: shows(port, expected))
        assert ended_by(process, signal.SIGTERM) == 0
    assert_consistent(deployment)


def test_a_signal_in_the_middle_of_work_loses_nothing_and_the_next_daemon_goes_on(
    deployed: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = deployed()
    deployment.send(night())
    variables = environment_of(deployment, daemon__micro_batch_messages=1)
    for number, n_messages in ((signal.SIGTERM, 1), (signal.SIGINT, deployment.sent)):
        with serve(tmp_path, variables) as process:
            deployment.wait_until(functools.partial(is_running_until_done, process, deployment, n_messages))
            assert ended_by(process, number) == 0
        assert_consistent(deployment)
    assert len(deployment.metrics()) == len(night())


def test_a_terminal_that_is_closed_in_the_middle_of_work_loses_nothing(
    deployed: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = deployed()
    deployment.send(night())
    variables = environment_of(deployment, daemon__micro_batch_messages=1)
    terminal, inside = os.openpty()
    with subprocess.Popen(
        # Whoever runs the tests under nohup ignores SIGHUP, and what they start would inherit that.
        ["env", "--default-signal=HUP", "setsid", "--ctty", PROGRAM, "serve"],
        cwd=tmp_path,
        env=variables,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        text=True,
    ) as process:
        try:
            os.close(inside)
            closed = threading.Event()
            reader = threading.Thread(target=read_until, args=(terminal, closed), daemon=True)
            reader.start()
            deployment.wait_until(functools.partial(is_running_until_done, process, deployment, 1))
            closed.set()
            assert process.wait(EXIT_SECONDS) == 0
        finally:
            process.kill()
    assert_consistent(deployment)


def read_until(terminal: int, closed: threading.Event) -> None:
    """Read what a program writes to its terminal until that is to be closed, and close it."""
    with contextlib.suppress(OSError):
        while not closed.is_set():
            if select.select([terminal], [], [], 0.1)[0]:
                os.read(terminal, 65536)
    os.close(terminal)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"kafka__groupid": "night"}, "STREAM_ASSOC_KAFKA__GROUP_ID"),
        ({"apdb__url": "mysql://host/apdb"}, "apdb.url"),
        ({"apdb__url": "sqlite:///not-there.sqlite3"}, "stream-assoc apdb init"),
        ({"sky__tile_level": "fine"}, "sky.tile_level"),
        ({"daemon__retry_initial_seconds": "50"}, "daemon.retry_max_seconds"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(tmp_path: Path, settings: dict[str, str], hint: str) -> None:
    assert hint in refusal(tmp_path, environment(**settings))


def test_a_metrics_port_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(tmp_path, environment(metrics__prometheus_port=port))
    assert "metrics.prometheus_port" in line
    assert str(port) in line


def refusal(folder: Path, variables: dict[str, str]) -> str:
    """Return the one line with which the daemon refuses to start, besides the one that says what starts."""
    ended = subprocess.run(
        [PROGRAM, "serve"], cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2, ended.stderr
    (line,) = (line for line in ended.stderr.splitlines() if "starting" not in line)
    return line
