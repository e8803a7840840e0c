import numpy as np
import pytest

from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.stores.apdb.rows.snapshot import SeenTiles, snapshot_of

TILES = np.array([4, 7, 9])


def test_objects_that_others_changed_are_told_by_tile() -> None:
    changed = snapshot_of(
        [], TILES, [(4, 3, None, None, None)], 0, [(11, 4, True), (12, 7, False), (13, 9, 1)]
    ).changed
    assert len(changed) == 3
    assert changed.outdated(np.array([4, 7])).tolist() == [11]
    assert changed.outdated(TILES).tolist() == [11, 13]
    assert len(snapshot_of([], TILES, [], 0, []).changed) == 0


def test_a_tile_that_another_program_raised_is_noticed() -> None:
    seen = SeenTiles()
    seen.check({})
    seen.add(TILES, snapshot_of([], TILES, [(4, 3, None, None, None)], 0, []))
    seen.check({4: 3})
    for stored in ({}, {4: 4}, {4: 3, 9: 1}):
        with pytest.raises(TilesChangedError, match="1 of 3 tiles"):
            seen.check(stored)


def test_what_was_read_first_counts() -> None:
    seen = SeenTiles()
    for version, changed in ((3, [(11, 4, True)]), (5, [(12, 4, True)])):
        seen.add(TILES[:1], snapshot_of([], TILES[:1], [(4, version, None, None, None)], 0, changed))
    seen.check({4: 3})
    assert seen.changed.tolist() == [11, 12]
