"""What the handler does where the cache takes no writes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.core.model.messages import InputMessage
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.pipeline.clock import PinnedClock
from stream_assoc.pipeline.ports.cache import CachedTiles, ObjectCache
from stream_assoc.pipeline.process import SESSION_SECONDS
from stream_assoc.service.daemon.handler import Answer, MessageHandler
from stream_assoc.service.instruments import Instruments
from stream_assoc.stores.cache.exceptions import CacheWritesRefusedError
from tests.contents import contents
from tests.pipeline.skies import apdb_url, night, pinned_services


class FullCache:
    """Holds what it held, and refuses every write."""

    def __init__(self, beneath: ObjectCache) -> None:
        self.n_refused = 0
        self._beneath = beneath

    def __getattr__(self, name: str) -> object:
        return getattr(self._beneath, name)

    def write(self, tiles: CachedTiles, states: ObjectStates, cells: IntArray) -> None:
        self.n_refused += 1
        raise CacheWritesRefusedError("Redis is full")


class SlowClock(PinnedClock):
    """At every look a session's time has passed: each batch has one of its own."""

    _seconds = 0.0

    def stopwatch_time(self) -> float:
        self._seconds += SESSION_SECONDS
        return self._seconds


def messages() -> list[InputMessage]:
    encoder = BatchEncoder()
    return [
        InputMessage(InputPosition("dia-sources", 0, offset), 0, None, encoder.encode(batch))
        for offset, batch in enumerate(night())
    ]


def answered(folder: Path, *, is_full: bool) -> tuple[MessageHandler, FullCache, Sequence[Answer]]:
    services = replace(pinned_services(folder), clock=SlowClock(62_000.0))
    full = FullCache(services.cache)
    if is_full:
        services = replace(services, cache=full)  # type: ignore[arg-type]
    handler = MessageHandler(BatchDecoder(), services, "dead-letters", Instruments())
    answers = handler.answer(messages())
    services.apdb.close()
    return handler, full, answers


def test_refused_writes_stop_no_session_and_are_told_once(tmp_path: Path) -> None:
    handler, full, answers = answered(tmp_path / "full", is_full=True)
    _, _, expected = answered(tmp_path / "usual", is_full=False)
    assert [answer.outputs for answer in answers] == [answer.outputs for answer in expected]
    tables = "DiaSource", "DiaObject", "DiaObjectLast"
    assert contents(apdb_url(tmp_path / "full"), *tables) == contents(apdb_url(tmp_path / "usual"), *tables)
    # Each session but the first begins with the write of the one before.
    assert full.n_refused == len(answers) - 1
    with pytest.raises(CacheWritesRefusedError):
        handler.finish({})
    assert full.n_refused == len(answers)
    handler.finish({})
    assert full.n_refused == len(answers)
