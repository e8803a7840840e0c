"""Whatever is wrong in a cache is found, named and repaired; what is missing or old is no fault."""

import sqlite3
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.maintenance.verify import Tally, Verification, verify
from tests.pipeline.bench import APDB_FILE
from tests.pipeline.skies import night, pinned_services, process_from
from tests.tools.maintenance.tampering import (
    change_states,
    change_tile,
    fullest_tile,
    shorten_tile,
    true_content,
)


def verified(stores, *, repair=False):
    return reduce(Verification.__add__, verify(stores, stores.apdb.known_tiles(), repair=repair), Verification())


def test_a_cache_after_a_night_is_as_the_apdb_to_the_last_bit(stores) -> None:
    found = verified(stores)
    n_objects = stores.apdb.count_rows()["DiaObjectLast"]
    assert found.tiles == Tally(checked=len(stores.apdb.known_tiles()))
    assert found.states == Tally(checked=n_objects)
    assert found.objects == Tally(checked=n_objects)
    assert found.drift == {}
    assert found.n_left == 0
    assert n_objects > 100


def test_an_empty_cache_lacks_everything_and_is_not_wrong(stores) -> None:
    stores.cache.flush()
    found = verified(stores)
    assert found.tiles.missing == found.tiles.checked > 0
    assert found.states.missing == found.states.checked > 0
    assert found.n_left == 0


def test_an_old_snapshot_is_stale_and_not_wrong(tmp_path: Path, stores) -> None:
    before = pinned_services(tmp_path / "before")
    for turn, batch in enumerate(night()[:4]):
        process_from(before, turn, batch)
    before.apdb.close()
    assert isinstance(before.cache, MemoryCache)
    stores.cache.tiles, stores.cache.states = dict(before.cache.tiles), dict(before.cache.states)
    found = verified(stores)
    assert found.tiles.stale > 0
    assert found.states.stale > 0
    assert found.states.missing > 0
    assert found.n_left == 0


def test_damaged_blobs_are_missing_and_counted(stores) -> None:
    tile = fullest_tile(stores)
    positions, _, _ = true_content(stores, tile)
    key = int(positions.diaObjectId[0])
    stores.cache.tiles[tile] = b"rubbish"
    stores.cache.states[key] = bytes(stores.cache.states[key])[:-8]
    found = verified(stores)
    assert (found.tiles.missing, found.states.missing, found.n_left) == (1, 1, 0)
    assert stores.cache.unreadable == 2


def test_a_shifted_position_in_a_tile_is_found_and_repaired(stores) -> None:
    tile = fullest_tile(stores)
    positions, _, _ = true_content(stores, tile)
    change_tile(stores, tile, ra=positions.ra + 0.125)
    found = verified(stores)
    assert (found.tiles.different, found.tiles.examples, found.states.different) == (1, (tile,), 0)
    assert found.drift == {"tile ra": pytest.approx(0.125)}
    assert found.n_left == 1
    repaired = verified(stores, repair=True)
    assert (repaired.tiles.different, repaired.repaired, repaired.n_left) == (1, 1, 0)
    assert verified(stores).tiles.different == 0


def test_an_object_that_a_tile_lost_is_found_and_repaired(stores) -> None:
    tile = fullest_tile(stores)
    shorten_tile(stores, tile)
    found = verified(stores, repair=True)
    assert (found.tiles.different, found.drift) == (1, {"tile objects": 1.0})
    assert verified(stores).tiles == Tally(checked=found.tiles.checked)


def test_drifted_accumulators_are_found_and_repaired(stores) -> None:
    tile = fullest_tile(stores)
    rows = np.array([1, 3])
    _, states, _ = true_content(stores, tile)
    drifted = np.array(states.object_fields[rows])
    drifted[:, 0] += 2.0**-30
    changed = change_states(stores, tile, rows, object_fields=drifted)
    found = verified(stores)
    assert found.states.different == 2
    assert set(found.states.examples) == set(changed.diaObjectId.tolist())
    assert found.drift == {stores.calculator.object_field_names[0]: pytest.approx(2.0**-30, rel=1e-3)}
    assert found.objects.different == 0
    assert verified(stores, repair=True).n_left == 0
    assert verified(stores).drift == {}


def test_only_a_few_examples_are_given(stores) -> None:
    tile = fullest_tile(stores)
    positions, states, _ = true_content(stores, tile)
    rows = np.arange(len(positions))
    change_states(stores, tile, rows, band_fields=states.band_fields + 1.0)
    found = verified(stores)
    assert found.states.different == len(rows) > 5
    assert len(found.states.examples) == 5


def test_an_apdb_that_contradicts_itself_is_told_and_not_repaired(tmp_path: Path, stores) -> None:
    tile = fullest_tile(stores)
    positions, _, _ = true_content(stores, tile)
    key = int(positions.diaObjectId[0])
    with sqlite3.connect(tmp_path / APDB_FILE) as connection:
        connection.execute('UPDATE "DiaObjectLast" SET dec = dec + 1e-7 WHERE "diaObjectId" = ?', (key,))
    connection.close()
    found = verified(stores, repair=True)
    assert (found.objects.different, found.objects.examples) == (1, (key,))
    assert found.drift["object dec"] == pytest.approx(1e-7, rel=1e-3)
    assert found.n_left == 1


def test_an_object_without_a_version_is_told(tmp_path: Path, stores) -> None:
    tile = fullest_tile(stores)
    positions, _, _ = true_content(stores, tile)
    key = int(positions.diaObjectId[0])
    with sqlite3.connect(tmp_path / APDB_FILE) as connection:
        connection.execute('DELETE FROM "DiaObject" WHERE "diaObjectId" = ?', (key,))
    connection.close()
    found = verified(stores)
    assert (found.objects.different, found.objects.examples, found.states.different) == (1, (key,), 0)
