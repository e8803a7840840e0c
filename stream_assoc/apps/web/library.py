"""The archive behind a door: opened when it is first asked for, and watched."""

import threading
import time
from dataclasses import asdict
from typing import Final

from stream_assoc.apps.web.feed import Feed
from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.reading.archive import Archive
from stream_assoc.wiring.stores import archive_of

SERVICE: Final = "apdb"
_LOOK_SECONDS: Final = 5.0
_FAILURE_SECONDS: Final = 1.0


class Library:
    """Opens the APDB when it is first needed, so that the dashboard starts without it.

    Parameters
    ----------
    settings : `Settings`
        Where the APDB is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._archive: Archive | None = None
        self._failure: tuple[float, ApdbError] | None = None

    @property
    def archive(self) -> Archive:
        """The archive.

        Raises
        ------
        ApdbError
            If it cannot be opened now; asking again a little later tries again.
        """
        with self._mutex:
            if self._archive is None:
                # Those who waited while one tried are not each to wait as long for the same failure.
                if self._failure is not None and time.monotonic() - self._failure[0] < _FAILURE_SECONDS:
                    raise self._failure[1]
                try:
                    self._archive = archive_of(self._settings)
                except ApdbError as error:
                    self._failure = (time.monotonic(), error)
                    raise
            return self._archive

    def close(self) -> None:
        """Release every connection."""
        with self._mutex:
            if self._archive is not None:
                self._archive.close()


class Watch:
    """Tells a feed every few seconds whether the APDB answers, and how much it holds.

    Parameters
    ----------
    library : `Library`
        What is watched.
    feed : `Feed`
        Who is told.
    """

    def __init__(self, library: Library, feed: Feed) -> None:
        self._library = library
        self._feed = feed
        self._stop = threading.Event()

    def stop(self) -> None:
        """End `run` soon."""
        self._stop.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stop.is_set():
            try:
                overview = self._library.archive.overview()
            except ApdbError as error:
                self._feed.set_service(SERVICE, is_up=False, message=str(error))
            else:
                self._feed.set_state("overview", asdict(overview))
                self._feed.set_service(SERVICE, is_up=True)
            self._stop.wait(_LOOK_SECONDS)
