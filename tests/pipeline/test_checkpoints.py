"""A state folded onto a checkpoint has the very bits of a whole fold, wherever the checkpoint stands."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.model.states import ObjectStates
from stream_assoc.pipeline.batches import Processed, arrive
from stream_assoc.pipeline.checkpoints import FIRST_AT
from stream_assoc.pipeline.cold_states import cold_states
from stream_assoc.pipeline.forced import rebuilt_states
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from stream_assoc.stores.cache.packing.state_packing import pack_states
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.contents import CHECKPOINT, SCIENCE_TABLES, columns, contents, execute
from tests.pipeline.exposed import exposed_night
from tests.pipeline.skies import ARCSEC, PINNED, apdb_url, batch, pinned_services, processed_from, square

RA, DEC = 150.0, 2.0
KEYS = CacheKeys.drawn_from(b"secret", "checkpoints")
EVERY = 3

DATABASES = ["sqlite_apdb_url", pytest.param("postgresql_apdb_url", marks=pytest.mark.integration)]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def services(url: str) -> Iterator[Services]:
    sections: dict[str, Any] = {**PINNED, "statistics": {"checkpoint_every": EVERY}}
    settings = Settings(**sections)
    made = services_of(settings, open_apdb(url), MemoryCache(layout_of(settings)))
    yield made
    made.apdb.close()


def stars(visit: int, places: list[float], band: str = "r", **values: Any) -> Any:
    declinations = [DEC + place * ARCSEC for place in places]
    return batch(visit, [RA] * len(places), declinations, band=band, footprint=square(RA, DEC), **values)


def blobs(states: ObjectStates, services: Services) -> list[bytes]:
    return [bytes(blob) for blob in pack_states(states, services.layout, KEYS.states)]


def assert_bits_are_those_of_a_whole_fold(services: Services) -> None:
    tiles = services.apdb.known_tiles()
    with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as session:
        objects = session.load_tiles(tiles).positions
        cold = cold_states(session, services.calculator, services.checkpoints, objects).states
        whole = rebuilt_states(session, services.calculator, objects.diaObjectId)
    assert blobs(cold, services) == blobs(whole, services)


def kept(url: str) -> dict[int, float]:
    return dict(columns(url, CHECKPOINT, "diaObjectId", "validityStartMjdTai"))


def test_every_object_has_one_once_it_has_sources_enough(services: Services, url: str) -> None:
    for visit in range(1, EVERY):
        processed_from(services, visit, stars(visit, [0, 10, 20, 30]))
    assert kept(url) == {}
    for visit in range(EVERY, 2 * EVERY):
        before = len(kept(url))
        processed_from(services, visit, stars(visit, [0, 10, 20, 30], "grizy"[visit % 5]))
        assert len(kept(url)) >= before
        assert_bits_are_those_of_a_whole_fold(services)
    assert len(kept(url)) == 4


def test_the_first_turn_comes_early_and_the_next_after_as_many_sources_as_the_settings_say(
    sqlite_apdb_url: str,
) -> None:
    every, n_stars = 16, 40
    sections: dict[str, Any] = {**PINNED, "statistics": {"checkpoint_every": every}}
    settings = Settings(**sections)
    made = services_of(settings, open_apdb(sqlite_apdb_url), MemoryCache(layout_of(settings)))
    turns: dict[int, list[int]] = {}
    before: dict[int, float] = {}
    for visit in range(1, FIRST_AT + 2 * every):
        processed_from(made, visit, stars(visit, [10.0 * place for place in range(n_stars)]))
        now = kept(sqlite_apdb_url)
        for identifier in now.keys() - {one for one in now if before.get(one) == now[one]}:
            turns.setdefault(identifier, []).append(visit)
        before = now
    made.apdb.close()
    assert len(turns) == n_stars
    for first, second in turns.values():
        assert FIRST_AT <= first < FIRST_AT + every
        assert second == first + every
    # No visit writes those of all objects.
    assert max(Counter(first for first, _ in turns.values()).values()) < n_stars / 2


def test_a_flushed_cache_changes_no_row(services: Services, url: str) -> None:
    assert isinstance(services.cache, MemoryCache)
    for visit in range(1, 12):
        services.cache.flush()
        processed_from(services, visit, stars(visit, [0, 10, 20, 30], "ri"[visit % 2]))
        assert_bits_are_those_of_a_whole_fold(services)


def test_several_visits_of_one_transaction(services: Services, url: str) -> None:
    processed_from(services, 1, *(stars(visit, [0, 10, 20], "gri"[visit % 3]) for visit in range(1, 3 * EVERY)))
    versions: dict[int, float] = dict(columns(url, "DiaObjectLast", "diaObjectId", "validityStartMjdTai"))
    assert all(version <= versions[identifier] for identifier, version in kept(url).items())
    assert len(kept(url)) == 3
    assert_bits_are_those_of_a_whole_fold(services)


def test_a_reprocessing_leaves_none_that_holds_what_it_took_back(services: Services, url: str) -> None:
    for visit in range(1, 8):
        processed_from(services, visit, stars(visit, [0, 10, 20]))
    again = stars(2, [0.2, 40], ids=[2**61 + 1, 2**61 + 2])
    (outcome,) = process_batches([arrive(again, services, reprocessing=True)], services)
    assert isinstance(outcome, Processed)
    assert all(version == outcome.metrics.timeProcessedMjdTai for version in kept(url).values())
    assert_bits_are_those_of_a_whole_fold(services)


def test_what_had_more_folded_than_its_turn_is_kept_at_once(services: Services, url: str) -> None:
    assert isinstance(services.cache, MemoryCache)
    for visit in range(1, 3 * EVERY):
        processed_from(services, visit, stars(visit, [0, 10, 20, 30]))
    execute(url, f'DELETE FROM "{CHECKPOINT}"')
    # What is in the cache need not be folded, so nothing is overdue for it.
    processed_from(services, 20, stars(20, [0]))
    assert len(kept(url)) <= 1
    execute(url, f'DELETE FROM "{CHECKPOINT}"')
    services.cache.flush()
    (outcome,) = processed_from(services, 21, stars(21, [10, 20]))
    assert list(kept(url).values()) == [outcome.metrics.timeProcessedMjdTai] * 2
    assert_bits_are_those_of_a_whole_fold(services)


def test_one_of_another_layout_is_passed_over(services: Services, url: str) -> None:
    for visit in range(1, 8):
        processed_from(services, visit, stars(visit, [0, 10, 20]))
    sections: dict[str, Any] = {**PINNED, "statistics": {"plugins": [], "checkpoint_every": EVERY}}
    settings = Settings(**sections)
    other = services_of(settings, open_apdb(url), MemoryCache(layout_of(settings)))
    assert_bits_are_those_of_a_whole_fold(other)
    other.apdb.close()


def test_damaged_ones_are_passed_over(services: Services, url: str) -> None:
    for visit in range(1, 8):
        processed_from(services, visit, stars(visit, [0, 10, 20]))
    tiles = services.apdb.known_tiles()
    policy = services.checkpoints
    assert policy is not None
    with services.apdb.exclusive(np.unique(services.partition.cells(tiles))) as session:
        ids = session.load_tiles(tiles).positions.diaObjectId
        found = session.load_checkpoints(ids, policy.codec.layout)
    assert len(found) == 3
    damaged = bytearray(found.blobs[0])
    damaged[40] ^= 1
    blobs_now = [bytes(damaged), *found.blobs[1:]]
    whole = policy.codec.unpack(replace(found, blobs=blobs_now))
    assert len(whole.states) == 2


def test_a_night_with_images_comes_out_the_same_cold_and_warm(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    batches = exposed_night(images)
    nights = {}
    for name, every in (("warm", 0), ("cold", 2)):
        services = pinned_services(
            tmp_path / name, statistics={"checkpoint_every": every}, images={"roots": (str(images),)}
        )
        assert isinstance(services.cache, MemoryCache)
        for offset, one in enumerate(batches):
            if every:
                services.cache.flush()
            processed_from(services, offset, one)
        if every:
            assert len(kept(apdb_url(tmp_path / name))) > 20
            assert_bits_are_those_of_a_whole_fold(services)
        services.apdb.close()
        nights[name] = contents(apdb_url(tmp_path / name), *SCIENCE_TABLES)
    assert nights["cold"]["DiaForcedSource"]
    assert nights["cold"] == nights["warm"]
