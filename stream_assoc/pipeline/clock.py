"""Time, injected: when a batch is processed, and how long each stage takes."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from stream_assoc.core.model.times import mjd_tai_of_unix
from stream_assoc.core.model.types import FloatArray


class Clock(Protocol):
    """Says when a batch is processed."""

    def processing_time(self) -> float:
        """Return the processing time of a batch that is taken up now, MJD TAI."""

    def stopwatch_time(self) -> float:
        """Return a monotonic time in seconds, for durations only."""


class SystemClock:
    """Processing time is now; leap seconds come from ERFA's table."""

    def processing_time(self) -> float:
        """Return now, MJD TAI."""
        return mjd_tai_of_unix(time.time())

    def stopwatch_time(self) -> float:
        """Return the system's monotonic time, seconds."""
        return time.perf_counter()


class PinnedClock:
    """Every batch is processed at one given time, so that two replays give the same bytes.

    Durations are zero for the same reason.

    Parameters
    ----------
    mjd_tai : `float`
        The time, MJD TAI.
    """

    def __init__(self, mjd_tai: float) -> None:
        self._mjd_tai = mjd_tai

    def processing_time(self) -> float:
        """Return the given time, MJD TAI."""
        return self._mjd_tai

    def stopwatch_time(self) -> float:
        """Return zero, always."""
        return 0.0


def later(processing_time: float, versions: FloatArray) -> float:
    """Return a processing time after every given object version.

    Object versions are keyed by (diaObjectId, validityStartMjdTai), so the
    version a batch makes must start strictly after the one it replaces, also
    when the clock stands still or the visit is late. The step is the smallest
    a double holds, 0.6 microseconds at today's MJD.
    """
    if len(versions) == 0:
        return processing_time
    return float(max(processing_time, np.nextafter(versions.max(), np.inf)))


class Stopwatch:
    """Adds up the seconds each stage of one batch takes.

    Parameters
    ----------
    clock : `Clock`
        Where durations come from.
    seconds : `dict` [`str`, `float`], optional
        Stages that were timed before, such as decoding.
    """

    def __init__(self, clock: Clock, seconds: dict[str, float] | None = None) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = dict(seconds or {})

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as part of stage ``name``."""
        begin = self._clock.stopwatch_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + self._clock.stopwatch_time() - begin
