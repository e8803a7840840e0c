"""Checkpoints that are written outside of batches are those that batches would have written, and are used."""

from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.settings import Settings
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.checkpoints import Kept, NoCheckpointsError, keep
from stream_assoc.tools.maintenance.fill import rebuild
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.wiring.pipeline import checkpoints_of
from tests.contents import CHECKPOINT, columns, execute
from tests.pipeline.skies import PINNED, apdb_url

EVERY = 2


@pytest.fixture
def keeping(stores: Stores, url: str) -> Stores:
    """The stores of a night, as if it had been processed without checkpoints."""
    execute(url, f'DELETE FROM "{CHECKPOINT}"')
    return replace(stores, checkpoints=policy_of(EVERY))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return apdb_url(tmp_path)


def policy_of(every: int) -> CheckpointPolicy:
    sections: dict[str, Any] = {**PINNED, "statistics": {"checkpoint_every": every}}
    return checkpoints_of(Settings(**sections))


def kept(stores: Stores) -> Kept:
    return reduce(Kept.__add__, keep(stores, stores.apdb.known_tiles()), Kept())


def n_sources(url: str) -> dict[int, int]:
    return dict(columns(url, "DiaObjectLast", "diaObjectId", "nDiaSources"))


def test_each_object_with_sources_enough_has_one_afterwards(keeping: Stores, url: str) -> None:
    done = kept(keeping)
    due = {one for one, number in n_sources(url).items() if number >= EVERY}
    assert 0 < len(due) < done.states == len(n_sources(url))
    assert done.written == len(due)
    assert {one for (one,) in columns(url, CHECKPOINT, "diaObjectId")} == due
    assert kept(keeping).written == 0


def test_states_folded_onto_them_are_the_blobs_of_before(keeping: Stores) -> None:
    cache = keeping.cache
    assert isinstance(cache, MemoryCache)
    before = dict(cache.states)
    kept(keeping)
    cache.flush()
    filled = reduce(Warmed.__add__, rebuild(keeping, keeping.apdb.known_tiles()))
    assert filled.written_states == len(before)
    assert cache.states == before


def test_one_far_behind_is_written_anew(keeping: Stores, url: str) -> None:
    kept(keeping)
    sparser = replace(keeping, checkpoints=policy_of(1))
    assert kept(sparser).written == sum(number < EVERY for number in n_sources(url).values())


def test_objects_that_another_program_has_changed_are_left_to_a_batch(keeping: Stores, url: str) -> None:
    (changed, *_) = (one for one, number in n_sources(url).items() if number >= EVERY)
    execute(url, f'UPDATE "DiaSource" SET "psfFlux" = "psfFlux" + 1 WHERE "diaObjectId" = {changed}')
    kept(keeping)
    assert changed not in {one for (one,) in columns(url, CHECKPOINT, "diaObjectId")}


def test_settings_without_checkpoints_are_refused(stores: Stores) -> None:
    for policy in (None, policy_of(0)):
        with pytest.raises(NoCheckpointsError, match=r"statistics\.checkpoint_every is 0"):
            next(keep(replace(stores, checkpoints=policy), stores.apdb.known_tiles()))
