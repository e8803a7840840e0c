"""The cache may be empty, old or away: not a byte of any result changes."""

import dataclasses
from pathlib import Path
from typing import Never

import numpy as np
import pytest

from stream_assoc.exceptions import RetriableError
from stream_assoc.pipeline.batches import Processed, Redelivered
from stream_assoc.settings import Settings
from stream_assoc.stores.cache.exceptions import CacheUnavailableError
from stream_assoc.stores.cache.packing.authentication import CacheKeys
from stream_assoc.stores.cache.packing.state_packing import pack_states
from stream_assoc.stores.cache.packing.tile_packing import pack_tiles
from stream_assoc.wiring.pipeline import layout_of
from tests.contents import ALL_TABLES, Rows, contents
from tests.pipeline.skies import apdb_url, night, pinned_services, process_from, processed_from

Undisturbed = tuple[list[Processed], dict[str, Rows]]


def run(folder, meddle=lambda cache, turn: None, **cache_replacements):
    """Process a night one batch after another, with something done to the cache before each."""
    services = pinned_services(folder, **cache_replacements)
    outcomes: list[Processed] = []
    for turn, batch in enumerate(night()):
        meddle(services.cache, turn)
        outcomes += processed_from(services, turn, batch)
    services.apdb.close()
    return outcomes, contents(apdb_url(folder), *ALL_TABLES)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    return run(tmp_path_factory.mktemp("undisturbed"))


def test_a_flush_before_every_batch(tmp_path: Path, undisturbed) -> None:
    assert run(tmp_path, lambda cache, turn: cache.flush()) == undisturbed


@pytest.mark.parametrize("lost", ["tiles", "states"])
def test_the_loss_of_one_kind(tmp_path: Path, undisturbed, lost: str) -> None:
    assert run(tmp_path, lambda cache, turn: getattr(cache, lost).clear()) == undisturbed


def test_the_loss_of_every_other_key(tmp_path: Path, undisturbed) -> None:
    def thin_out(cache, turn) -> None:
        for kept in (cache.tiles, cache.states):
            for key in sorted(kept)[turn % 2 :: 2]:
                del kept[key]

    assert run(tmp_path, thin_out) == undisturbed


def test_an_old_snapshot_that_comes_back_again_and_again(tmp_path: Path, undisturbed) -> None:
    snapshots = []

    def restore(cache, turn) -> None:
        snapshots.append((dict(cache.tiles), dict(cache.states)))
        cache.tiles, cache.states = map(dict, snapshots[turn // 2])

    assert run(tmp_path, restore) == undisturbed


def test_damaged_blobs(tmp_path: Path, undisturbed) -> None:
    def damage(cache, turn) -> None:
        for kept in (cache.tiles, cache.states):
            for key, blob in kept.items():
                kept[key] = blob[: len(blob) // 2] if key % 2 else bytes([blob[0] ^ 1]) + bytes(blob[1:])

    assert run(tmp_path, damage) == undisturbed


def test_blobs_forged_by_somebody_who_can_write_to_the_cache(tmp_path: Path, undisturbed) -> None:
    """All that a blob says is right, its version too, but for the statistics and positions, and the key."""
    n_forged = 0

    def forge(cache, turn) -> None:
        nonlocal n_forged
        stranger = CacheKeys.random()
        ids = np.array(sorted(cache.states), np.int64)
        versions = cache.peek_state_versions(ids, np.zeros(len(ids), np.int64))
        cached = cache.read_states(ids, np.zeros(len(ids), np.int64), versions)
        forged = dataclasses.replace(
            cached.states,
            object_fields=cached.states.object_fields + 1_000.0,
            band_fields=cached.states.band_fields + 1_000.0,
        )
        packed = map(bytes, pack_states(forged, layout_of(Settings()), stranger.states))
        cache.states |= zip(forged.diaObjectId.tolist(), packed, strict=True)
        tiles = cache.peek_tiles(np.array(sorted(cache.tiles), np.int64))
        positions = dataclasses.replace(tiles.objects.positions, dec=tiles.objects.positions.dec + 1e-3)
        moved = dataclasses.replace(tiles, objects=dataclasses.replace(tiles.objects, positions=positions))
        packed = map(bytes, pack_tiles(moved, stranger.tiles))
        cache.tiles |= zip(tiles.objects.tiles.tolist(), packed, strict=True)
        n_forged += len(forged) + len(tiles)

    assert run(tmp_path, forge) == undisturbed
    assert n_forged > 100


class FailsOnce:
    """A cache that is away at one write, and at the read before it on demand."""

    def __init__(self, real, method) -> None:
        self._real = real
        self._method = method
        self.failures = 1

    def __getattr__(self, name):
        if name == self._method and self.failures:
            self.failures -= 1
            return self._fail
        return getattr(self._real, name)

    def _fail(self, *arguments) -> Never:
        raise CacheUnavailableError("the cache is away")


def failing(folder, method):
    services = pinned_services(folder)
    process_from(services, 0, *night()[:2])
    return dataclasses.replace(services, cache=FailsOnce(services.cache, method))


def test_a_cache_that_goes_away_after_the_commit(tmp_path: Path, undisturbed: Undisturbed) -> None:
    expected, _ = undisturbed
    services = failing(tmp_path, "write")
    with pytest.raises(RetriableError):
        process_from(services, 2, *night()[2:4])
    again = process_from(services, 2, *night()[2:4])
    redelivered = [one for one in again if isinstance(one, Redelivered)]
    assert redelivered == again
    assert [(one.id, one.outputs) for one in redelivered] == [
        (outcome.id, outcome.outputs) for outcome in expected[2:4]
    ]
    assert process_from(services, 4, *night()[4:]) == expected[4:]


@pytest.mark.parametrize("method", ["read_tiles", "read_states"])
def test_a_cache_that_goes_away_before_the_commit(tmp_path: Path, undisturbed, method: str) -> None:
    expected, _ = undisturbed
    services = failing(tmp_path, method)
    with pytest.raises(RetriableError):
        process_from(services, 2, *night()[2:4])
    assert not services.apdb.contains(night()[2].id)
    outcomes = process_from(services, 2, *night()[2:])
    assert all(isinstance(outcome, Processed) for outcome in outcomes)
    assert outcomes == expected[2:]
