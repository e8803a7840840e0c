"""The real pipeline, in this process: what it decides over a visit, and what a visit costs it."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import cast

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.statistics import PRODUCTION_PLUGINS
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured
from tests.pipeline.bench import process

SETTINGS = {
    "new_objects": {"max_new_dia_objects": 1_000_000},
    "statistics": {"plugins": PRODUCTION_PLUGINS},
}


def process_cold(apdb: Apdb, batch: Batch) -> None:
    """Process a visit as a daemon does that has nothing in its cache."""
    settings = configured(**SETTINGS)
    process(services_of(settings, apdb, MemoryCache(layout_of(settings))), batch)


def decided(apdb: Apdb, batch: Batch) -> list[BatchChanges]:
    """Process a visit, and return what it has changed."""
    listening = _Listening(apdb)
    process_cold(cast("Apdb", listening), batch)
    return listening.heard


class _Listening:
    """An APDB that keeps what is committed to it."""

    def __init__(self, apdb: Apdb) -> None:
        self._apdb = apdb
        self.heard: list[BatchChanges] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._apdb, name)

    @contextlib.contextmanager
    def exclusive(self, cells: IntArray) -> Iterator["_ListeningSession"]:
        with self._apdb.exclusive(cells) as session:
            yield _ListeningSession(session, self.heard)


class _ListeningSession:
    def __init__(self, session: ApdbSession, heard: list[BatchChanges]) -> None:
        self._session = session
        self._heard = heard

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def commit(self, changes: Sequence[BatchChanges]) -> IntArray:
        self._heard += changes
        return self._session.commit(changes)
