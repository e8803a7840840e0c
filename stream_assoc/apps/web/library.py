"""The dashboard's access to the APDB: opened on first use, and watched."""

import threading
import time
from dataclasses import asdict
from typing import Final

from stream_assoc.apps.web.feed import Feed
from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.stores.apdb.reading.standby import standby_remark
from stream_assoc.wiring.stores import reader_of

SERVICE: Final = "apdb"
_LOOK_SECONDS: Final = 5.0
_FAILURE_SECONDS: Final = 1.0


class Library:
    """Opens the APDB on first use, so that the dashboard starts without it.

    Parameters
    ----------
    settings : `Settings`
        Settings that say where the APDB is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._reader: ApdbReader | None = None
        self._failure: tuple[float, ApdbError] | None = None

    @property
    def reader(self) -> ApdbReader:
        """The APDB.

        Raises
        ------
        ApdbError
            If the APDB cannot be opened now; a later access tries again.
        """
        with self._mutex:
            if self._reader is None:
                # Requests that waited for an attempt share its failure, instead of waiting as long for their own.
                if self._failure is not None and time.monotonic() - self._failure[0] < _FAILURE_SECONDS:
                    raise self._failure[1]
                try:
                    self._reader = reader_of(self._settings)
                except ApdbError as error:
                    self._failure = (time.monotonic(), error)
                    raise
            return self._reader

    def close(self) -> None:
        """Release every connection."""
        with self._mutex:
            if self._reader is not None:
                self._reader.close()


class Watch:
    """Records in a feed, every few seconds, whether the APDB answers and how much it holds.

    Parameters
    ----------
    library : `Library`
        The access to watch.
    feed : `Feed`
        The feed to write to.
    """

    def __init__(self, library: Library, feed: Feed) -> None:
        self._library = library
        self._feed = feed
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Watch until stopped."""
        while not self._stop.is_set():
            try:
                overview = self._library.reader.overview()
                remark = standby_remark(self._library.reader)
            except ApdbError as error:
                self._feed.set_service(SERVICE, is_up=False, message=str(error))
            else:
                self._feed.set_state("overview", asdict(overview))
                self._feed.set_service(SERVICE, is_up=True, message=remark or "")
            self._stop.wait(_LOOK_SECONDS)
