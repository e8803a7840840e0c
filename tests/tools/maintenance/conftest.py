from pathlib import Path

import pytest

from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.stores import Stores
from tests.pipeline.bench import APDB_FILE, services_in
from tests.pipeline.skies import PINNED, night, pinned_services, process_from


@pytest.fixture(scope="session")
def after_a_night(tmp_path_factory: pytest.TempPathFactory):
    """The file of an APDB after a night, and the tiles and states in the cache."""
    folder = tmp_path_factory.mktemp("night")
    services = pinned_services(folder)
    for turn, batch in enumerate(night()):
        process_from(services, turn, batch)
    services.apdb.close()
    assert isinstance(services.cache, MemoryCache)
    return (folder / APDB_FILE).read_bytes(), services.cache.tiles, services.cache.states


@pytest.fixture
def stores(tmp_path: Path, after_a_night):
    """An APDB and a cache after a night."""
    file, tiles, states = after_a_night
    (tmp_path / APDB_FILE).write_bytes(file)
    services = services_in(tmp_path, **PINNED)
    assert isinstance(services.cache, MemoryCache)
    services.cache.tiles, services.cache.states = dict(tiles), dict(states)
    yield Stores(services.apdb, services.cache, services.calculator, services.partition)
    services.apdb.close()
