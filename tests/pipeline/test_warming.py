"""The cache is filled while batches commit, and whatever meets is right: no stale read is ever believed."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.warming import Warmed, Warmer
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.stores.cache.metered import MeteredCache
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from tests.contents import ALL_TABLES, contents
from tests.pipeline.bench import APDB_FILE
from tests.pipeline.skies import apdb_url, night, pinned_services, process_from, processed_from

N_BEFORE = 10
"""Batches before the cache is lost."""


class Meddled:
    """A cache to which something happens right before it is written."""

    def __init__(self, real: MemoryCache, before_write: Callable[[], None]) -> None:
        self._real = real
        self._before_write = before_write

    def __getattr__(self, name):
        return getattr(self._real, name)

    def write(self, tiles, states, cells) -> None:
        self._before_write()
        self._real.write(tiles, states, cells)


def warmer(services, cache=None) -> Warmer:
    return Warmer(
        services.apdb, cache or services.cache, services.calculator, services.partition, services.checkpoints
    )


def warmed(services, cache=None) -> Warmed:
    return reduce(Warmed.__add__, warmer(services, cache).warm(services.apdb.known_tiles()), Warmed())


def verified(services) -> Verification:
    stores = Stores(services.apdb, services.cache, services.calculator, services.partition, services.checkpoints)
    return sum(verify(stores, services.apdb.known_tiles()), Verification())


@pytest.fixture
def services(tmp_path: Path):
    """An APDB after some batches, and an empty cache."""
    services = pinned_services(tmp_path)
    for turn, batch in enumerate(night()[:N_BEFORE]):
        process_from(services, turn, batch)
    assert isinstance(services.cache, MemoryCache)
    services.cache.flush()
    yield services
    services.apdb.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("undisturbed")
    services = pinned_services(folder)
    outcomes = [one for turn, batch in enumerate(night()) for one in processed_from(services, turn, batch)]
    services.apdb.close()
    return outcomes[N_BEFORE:], contents(apdb_url(folder), *ALL_TABLES)


def test_all_is_there_afterwards_and_agrees(services) -> None:
    done = warmed(services)
    found = verified(services)
    assert found.n_left == found.tiles.missing == found.states.missing == found.tiles.stale == found.states.stale == 0
    assert (done.written_tiles, done.written_states) == (done.tiles, done.states)
    assert done.states == services.apdb.count_rows()["DiaObjectLast"]


def test_what_is_warm_is_not_written_again(services) -> None:
    warmed(services)
    done = warmed(services)
    assert (done.written_tiles, done.written_states) == (0, 0)
    assert done.states > 50


def test_a_batch_then_misses_nothing(services) -> None:
    warmed(services)
    counts = []
    batch = night()[N_BEFORE]
    metered = replace(services, cache=MeteredCache(services.cache, lambda *count: counts.append(count)))
    known = services.apdb.known_tiles()
    process_from(metered, N_BEFORE, batch)
    # Sky that no batch has come to before is not among the known tiles.
    n_unknown = len(np.setdiff1d(arrive(batch, services).region.tiles, known))
    assert [sum(missed for kind, _, missed in counts if kind == one) for one in ("tile", "state")] == [n_unknown, 0]
    assert sum(hits for _, hits, _ in counts) > 20


def test_nothing_waits_for_a_warmer_that_pauses(services) -> None:
    """After each portion a batch goes through, as it would with a warmer that is killed there."""
    portions = warmer(services).warm(services.apdb.known_tiles())
    for turn, batch in enumerate(night()[N_BEFORE:], start=N_BEFORE):
        next(portions, None)
        process_from(services, turn, batch)
    assert verified(services).n_left == 0


@pytest.mark.parametrize("keeps_what_batches_write", [True, False])
def test_a_batch_that_commits_between_reading_and_writing(
    tmp_path: Path, services, undisturbed, keeps_what_batches_write: bool
) -> None:
    """What was read before is written after: it carries the versions of then, and nobody believes it."""
    real = services.cache
    left = list(enumerate(night()))[N_BEFORE:]
    outcomes = []

    def one_batch() -> None:
        if not left:
            return
        kept = dict(real.tiles), dict(real.states)
        turn, batch = left.pop(0)
        outcomes.extend(processed_from(services, turn, batch))
        if not keeps_what_batches_write:
            real.tiles, real.states = kept

    while left:
        real.flush()
        before = len(left)
        warmed(services, Meddled(real, one_batch))
        assert len(left) < before
        assert verified(services).n_left == 0
    assert (outcomes, contents(apdb_url(tmp_path), *ALL_TABLES)) == undisturbed


def test_what_a_batch_has_written_meanwhile_is_not_overwritten(services) -> None:
    """The batch comes between the last look into the APDB and the last look into the cache."""
    real, looked = services.cache, list[object]()

    class Late:
        def __getattr__(self, name):
            return getattr(real, name)

        def tile_versions(self, tiles):
            if not looked:
                looked.append(process_from(services, N_BEFORE, night()[N_BEFORE]))
            return real.tile_versions(tiles)

    warmed(services, Late())
    assert looked
    found = verified(services)
    assert found.n_left == found.tiles.stale == 0
    # Of an object that the batch has changed, the state that it has written.
    assert found.states.stale == 0


def test_objects_that_another_program_changed_are_left_alone(tmp_path: Path, services) -> None:
    with sqlite3.connect(tmp_path / APDB_FILE) as other:
        ((first,),) = other.execute('SELECT min("diaObjectId") FROM "DiaObjectLast"')
        other.execute('UPDATE "DiaSource" SET "psfFlux" = "psfFlux" + 1 WHERE "diaObjectId" = ?', (first,))
    warmed(services)
    assert first not in services.cache.states
    assert len(services.cache.states) == services.apdb.count_rows()["DiaObjectLast"] - 1
    assert verified(services).n_left == 0


def test_objects_seen_once_come_last(services) -> None:
    written = []

    class Noting:
        def __getattr__(self, name):
            return getattr(services.cache, name)

        def write(self, tiles, states, cells) -> None:
            written.extend(np.asarray(services.calculator.positions(states).nDiaSources).tolist())
            services.cache.write(tiles, states, cells)

    warmed(services, Noting())
    assert written == sorted(written, key=lambda n: n <= 1)
    assert written[0] > 1 == written[-1]
