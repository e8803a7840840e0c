"""A server process, with the shell in the part of the server."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from stream_assoc.tools.embedded.process import EmbeddedServiceError, ServerProcess

PATIENCE_SECONDS = 20.0


def shell(script: str, folder: Path, **options: Any) -> ServerProcess:
    return ServerProcess(["/bin/sh", "-c", script], folder / "log", **options)


def test_a_server_is_waited_for_and_stopped(tmp_path: Path) -> None:
    server = shell(f"touch {tmp_path}/ready; exec sleep 600", tmp_path)
    server.start((tmp_path / "ready").exists, PATIENCE_SECONDS)
    assert server.pid is not None
    process = psutil.Process(server.pid)

    server.stop()
    server.stop()

    assert not process.is_running()
    assert server.pid is None


def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServiceError, match=r"status 7:\nport in use"):
        shell("echo port in use >&2; exit 7", tmp_path).start(lambda: False, PATIENCE_SECONDS)


def test_a_server_that_never_answers_is_stopped(tmp_path: Path) -> None:
    server = shell(f"echo $$ > {tmp_path}/pid; exec sleep 600", tmp_path)

    with pytest.raises(EmbeddedServiceError, match="no answer"):
        server.start(lambda: False, 0.5)

    assert server.pid is None


def test_a_server_deaf_to_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    server = shell(f"trap '' TERM; sleep 600 & touch {tmp_path}/ready; wait; sleep 600", tmp_path)
    server.start((tmp_path / "ready").exists, PATIENCE_SECONDS)
    assert server.pid is not None
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    server.stop(timeout_seconds=0.2)

    assert psutil.wait_procs(family, PATIENCE_SECONDS)[1] == []


def test_a_server_dies_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
import sys
from stream_assoc.tools.embedded.process import ServerProcess
server = ServerProcess(["/bin/sleep", "600"], Path({str(tmp_path)!r}, "log"))
server.start(lambda: True, 10.0)
print(server.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    assert psutil.wait_procs([server], PATIENCE_SECONDS)[1] == []


def test_the_group_of_a_server_is_its_own(tmp_path: Path) -> None:
    server = shell("exec sleep 600", tmp_path)
    server.start(lambda: True, PATIENCE_SECONDS)
    assert server.pid is not None

    assert os.getpgid(server.pid) == server.pid != os.getpgrp()
    server.stop()
