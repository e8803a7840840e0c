"""A page of commands, typed from top to bottom."""

import contextlib
import functools
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from stream_assoc.tools.embedded.kafka import free_ports
from tests.documentation.console import NEEDS_A_MACHINE, Command, commands, program_of
from tests.integration.program import EXIT_SECONDS, PROGRAM

COMMAND_SECONDS = 240.0

NOT_TYPED = {
    **NEEDS_A_MACHINE,
    "make": "is what runs these tests, or takes long: test_commands sees that the target exists",
    "docker": "needs an engine: test_commands and tests/monitoring check the files",
}

SHORTENED = {
    "stream-assoc simulate night/ --visits 24 --detectors 4 --fields 1": ["--visits", "14", "--detectors", "1"],
    "stream-assoc replay run night/batches.avro --speed 10": ["--speed", "10000", "--limit", "27"],
    "stream-assoc metrics tail --since 2h": ["--until-end"],
    "stream-assoc objects tail --cone 150.0 2.2 0.1": ["--until-end"],
    "stream-assoc forced-sources tail": ["--until-end"],
    "stream-assoc demo --folder streamed": ["--visits", "2", "--detectors", "1"],
}
"""What is added to commands that would take long or never end; the last of an option given twice counts."""

TYPED_ELSEWHERE = {
    "stream-assoc dashboard": "never ends: tests/apps/cli/test_dashboard.py starts and ends it",
}

SERVE = "stream-assoc serve"
REPLAY = "stream-assoc replay run"


class Session:
    """A shell in a folder of its own: what is exported stays, what serves runs on until the end."""

    def __init__(
        self,
        folder: Path,
        variables: dict[str, str],
        stand_ins: dict[str, str],
        is_settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder
        self._is_settled = is_settled
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_ASSOC_")}
        self.environment = inherited | variables
        self.environment["PATH"] = f"{PROGRAM.parent}{os.pathsep}{inherited['PATH']}"
        self._stand_ins = stand_ins
        self._servers: list[subprocess.Popen[bytes]] = []
        self.output = ""

    def type(self, command: Command) -> None:
        program = program_of(command)
        if program in NOT_TYPED or command.without_comment in TYPED_ELSEWHERE:
            return
        if program == "export":
            name, _, value = command.words[1].partition("=")
            if name != "PATH":
                self.environment[name] = self._stand_ins.get(name, value)
        elif command.without_comment == SERVE:
            self._serve()
        else:
            self.run(command.words + SHORTENED.get(command.without_comment, []))
            if command.without_comment.startswith(REPLAY):
                # A person looks at what came of it before they type the next line.
                wait_until(self._is_settled)

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
        status: int = urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10).status
        return status == 200
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


@contextlib.contextmanager
def typed(
    page: str,
    folder: Path,
    variables: dict[str, str],
    stand_ins: dict[str, str],
    is_settled: Callable[[], bool] = lambda: True,
) -> Iterator[Session]:
    """Type the commands of a page, wait after each replay until it is settled, and end what was started."""
    session = Session(folder, variables, stand_ins, is_settled)
    try:
        for command in commands(page):
            session.type(command)
        yield session
    finally:
        session.kill()
