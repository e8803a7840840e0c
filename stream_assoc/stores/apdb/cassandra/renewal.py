"""Renewing: the counters of open groups grow, so that nobody takes their daemon for dead."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.groups import Groups

RENEWALS_PER_PATIENCE: Final = 5
"""How often a counter grows within the time that others wait for it."""


class Renewal:
    """Renews the groups of one process in a thread of its own, which ends soon after the last of them.

    Parameters
    ----------
    groups : `Groups`
    patience_seconds : `float`
        How long a counter may stand still.
    """

    def __init__(self, groups: Groups, patience_seconds: float) -> None:
        self._groups = groups
        self._interval = patience_seconds / RENEWALS_PER_PATIENCE
        self._counters: dict[uuid.UUID, int] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def of(self, group_id: uuid.UUID) -> Iterator[None]:
        """Renew a group while the block runs."""
        with self._lock:
            self._counters[group_id] = 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._counters[group_id]

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._interval):
            with self._lock:
                if not self._counters:
                    self._thread = None
                    return
                self._counters = {group_id: counter + 1 for group_id, counter in self._counters.items()}
                counters = dict(self._counters)
            for group_id, counter in counters.items():
                # What keeps this from being answered keeps the group from its commit too.
                with suppress(ApdbUnavailableError):
                    self._groups.renew(group_id, counter)
