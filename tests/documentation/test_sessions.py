"""The README and the tutorial, typed from top to bottom, on real servers."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.embedded.kafka import free_ports
from tests.contents import LEDGER, columns
from tests.documentation.console import Command, commands, python_blocks
from tests.documentation.test_commands import NEEDS_A_MACHINE, program_of
from tests.integration.program import EXIT_SECONDS, PROGRAM

pytestmark = pytest.mark.integration

COMMAND_SECONDS = 240.0

NOT_TYPED = {
    **NEEDS_A_MACHINE,
    "make": "is what runs these tests, or takes long: test_commands sees that the target exists",
    "docker": "needs an engine: test_commands and tests/monitoring check the files",
}

SHORTENED = {
    "stream-assoc simulate night/ --visits 100 --detectors 9": ["--visits", "3", "--detectors", "2"],
    "stream-assoc simulate night/ --visits 24 --detectors 4 --fields 1": ["--visits", "14", "--detectors", "1"],
    "stream-assoc replay night/batches.avro --speed 10": ["--speed", "10000"],
    "stream-assoc metrics tail": ["--from-beginning", "--limit", "1"],
    "stream-assoc objects tail --limit 10": ["--from-beginning"],
    "stream-assoc demo --folder streamed": ["--visits", "2", "--detectors", "1"],
}
"""What is added to commands that would take long or never end; the last of an option given twice counts."""

SERVE = "stream-assoc serve"


class Session:
    """A shell in a folder of its own: what is exported stays, what serves runs on until the end."""

    def __init__(self, folder: Path, variables: dict[str, str], stand_ins: dict[str, str]) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")}
        self.environment = inherited | variables
        self.environment["PATH"] = f"{PROGRAM.parent}{os.pathsep}{inherited['PATH']}"
        self._stand_ins = stand_ins
        self._servers: list[subprocess.Popen[bytes]] = []
        self.output = ""

    def type(self, command: Command) -> None:
        program = program_of(command)
        if program in NOT_TYPED:
            return
        if program == "export":
            name, _, value = command.words[1].partition("=")
            if name != "PATH":
                self.environment[name] = self._stand_ins.get(name, value)
        elif command.without_comment == SERVE:
            self._serve()
        else:
            self.run(command.words + SHORTENED.get(command.without_comment, []))

    def run(self, words: list[str]) -> None:
        try:
            ended = subprocess.run(
                words,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{words} does not end; say in SHORTENED how it does") from error
        self.output += ended.stdout
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"

    def _serve(self) -> None:
        (port,) = free_ports(1)
        variables = self.environment | {"STREAM_ASSOC_METRICS__PROMETHEUS_PORT": str(port)}
        with (self.folder / "serve.log").open("wb") as log:
            server = subprocess.Popen([PROGRAM, "serve"], cwd=self.folder, env=variables, stderr=log)
        self._servers.append(server)
        wait_until(functools.partial(is_ready, server, port))

    def end(self) -> None:
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
            assert server.wait(EXIT_SECONDS) == 0, (self.folder / "serve.log").read_text()

    def kill(self) -> None:
        for server in self._servers:
            if server.poll() is None:
                server.kill()
                server.wait()


def is_ready(server: subprocess.Popen[bytes], port: int) -> bool:
    assert server.poll() is None
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10).status == 200
    return False


def wait_until(condition) -> None:
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


@contextlib.contextmanager
def typing(folder: Path, variables: dict[str, str], stand_ins: dict[str, str]) -> Iterator[Session]:
    session = Session(folder, variables, stand_ins)
    try:
        yield session
    finally:
        session.kill()


def test_the_readme(kafka_bootstrap, valkey_url, postgresql_database, tmp_path):
    name = uuid4().hex
    ours = ("input_topic", "objects_topic", "metrics_topic", "dead_letter_topic", "group_id")
    variables = {f"STREAM_ASSOC_KAFKA__{part.upper()}": f"{name}.{part}" for part in ours}
    variables["STREAM_ASSOC_REDIS__PREFIX"] = name
    stand_ins = {
        "STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS": kafka_bootstrap,
        "STREAM_ASSOC_REDIS__URL": valkey_url,
        "STREAM_ASSOC_APDB__URL": postgresql_database,
    }
    write_detections(tmp_path / "detections.parquet")
    with typing(tmp_path, variables, stand_ins) as session:
        for command in commands("README.md"):
            session.type(command)
        wait_until(lambda: len(columns(postgresql_database, LEDGER, "visit")) == 3 * 2 + 1)
        session.end()
    assert "all confirmed" in session.output


def write_detections(file: Path) -> None:
    """Write three detections of one ZTF visit."""
    n = 3
    table = {
        "visit": [7] * n,
        "detector": [1] * n,
        "band": ["g"] * n,
        "midpointMjd": [59000.0] * n,
        "candid": list(range(10, 10 + n)),
        "ra": [10.0, 10.01, 10.02],
        "dec": [5.0] * n,
        "xpos": [100.0] * n,
        "ypos": [100.0] * n,
        "isNegative": [False] * n,
        "psfFlux": [1000.0] * n,
        "psfFluxErr": [50.0] * n,
        "chipsf": [1.0] * n,
    }
    pq.write_table(pa.table(table), file)


def test_the_tutorial(tmp_path):
    with typing(tmp_path, {}, {}) as session:
        for command in commands("docs/tutorial.md"):
            session.type(command)
        (script,) = python_blocks("docs/tutorial.md")
        session.run([sys.executable, "-c", script])
    lines = session.output.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("DIAObject "))
    light_curve = lines[first + 1 :]
    assert len(light_curve) >= 12
    assert all(line.endswith("*") for line in light_curve)
