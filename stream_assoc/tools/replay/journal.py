"""How far a recorded replay has come, so that a killed one can go on.

Before messages are handed over the journal notes how far it means to go, and
once every one is confirmed, that it is there. After a kill at any moment the
messages before the last confirmation are known to be written, those after the
last intent are known not to be, and those in between are in doubt: the topic
itself tells which of them arrived.
"""

import fcntl
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from stream_assoc.tools.replay.exceptions import ManifestError, ReplayInUseError

JOURNAL_NAME: Final = "journal.log"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay has come.

    Attributes
    ----------
    n_confirmed : `int`
        Steps before this one are done.
    n_intended : `int`
        Steps from this one on were never begun.
    intended_ms : `int`
        When the last of the doubtful ones may first have been sent,
        milliseconds since 1970 UTC.
    """

    n_confirmed: int = 0
    n_intended: int = 0
    intended_ms: int = 0

    @property
    def doubtful(self) -> range:
        """Steps that may have been sent and may not."""
        return range(self.n_confirmed, self.n_intended)


class Journal:
    """The journal of one replay, held by one process at a time; use it in a ``with`` statement.

    Parameters
    ----------
    folder : `pathlib.Path`
        Of the recorded replay.

    Attributes
    ----------
    progress : `Progress`

    Raises
    ------
    ReplayInUseError
        If another process holds it.
    ManifestError
        If it is damaged elsewhere than at its end, where a kill may leave half a line.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        self._file: BinaryIO = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ReplayInUseError(f"another process is carrying out the replay of {folder}; wait for it") from None
        self.progress = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def intend(self, n_steps: int) -> None:
        """Note that steps up to this number are about to be sent."""
        now = time.time_ns() // 1_000_000
        self._append(f"intend {n_steps} {now}")
        self.progress = _after(self.progress, "intend", n_steps, now)

    def confirm(self, n_steps: int) -> None:
        """Note that steps up to this number are known to be written."""
        self._append(f"confirm {n_steps} 0")
        self.progress = _after(self.progress, "confirm", n_steps, 0)

    def _append(self, text: str) -> None:
        self._file.write(_line(text))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> Progress:
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        progress, n_good_bytes = Progress(), 0
        for number, line in enumerate(lines, 1):
            words = line.decode("ascii", "replace").split()
            if len(words) != 4 or line != _line(" ".join(words[:3])):
                if number < len(lines):
                    raise ManifestError(f"{self._path}: line {number} is damaged; begin anew")
                break
            n_good_bytes += len(line)
            progress = _after(progress, words[0], int(words[1]), int(words[2]))
        # Half a line would spoil the next one.
        self._file.truncate(n_good_bytes)
        return progress


def _after(progress: Progress, word: str, n_steps: int, time_ms: int) -> Progress:
    if word == "intend":
        # Of several intents without a confirmation the first tells since when there is doubt.
        is_further = progress.n_intended > progress.n_confirmed
        return Progress(progress.n_confirmed, n_steps, progress.intended_ms if is_further else time_ms)
    return Progress(n_steps, max(n_steps, progress.n_intended), progress.intended_ms)


def _line(text: str) -> bytes:
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()
