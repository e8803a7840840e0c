from pathlib import Path

import pytest

from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.stores import Stores
from tests.pipeline.bench import APDB_FILE, rooms_in
from tests.pipeline.skies import PINNED, night, pinned_rooms, process_from


@pytest.fixture(scope="session")
def after_a_night(tmp_path_factory: pytest.TempPathFactory):
    """The file of an APDB after a night, and the tiles and states in the cache."""
    folder = tmp_path_factory.mktemp("night")
    rooms = pinned_rooms(folder)
    for turn, batch in enumerate(night()):
        process_from(rooms, turn, batch)
    rooms.apdb.close()
    assert isinstance(rooms.cache, MemoryCache)
    return (folder / APDB_FILE).read_bytes(), rooms.cache.tiles, rooms.cache.states


@pytest.fixture
def stores(tmp_path: Path, after_a_night):
    """An APDB and a cache after a night."""
    file, tiles, states = after_a_night
    (tmp_path / APDB_FILE).write_bytes(file)
    rooms = rooms_in(tmp_path, **PINNED)
    assert isinstance(rooms.cache, MemoryCache)
    rooms.cache.tiles, rooms.cache.states = dict(tiles), dict(states)
    yield Stores(rooms.apdb, rooms.cache, rooms.calculator, rooms.partition)
    rooms.apdb.close()
