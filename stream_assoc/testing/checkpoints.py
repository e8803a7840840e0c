"""States that are kept beside the rows: one an object, and none that another row contradicts."""

from dataclasses import replace

import numpy as np
import pytest

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.states import Checkpoints
from stream_assoc.pipeline.exceptions import TilesChangedError
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.other_writers import KEPT, OTHER, UPDATES, OtherWritersTests
from stream_assoc.testing.rows import CELLS, FIRST, SECOND, TILES, changes, dia_object, forced, source, store

LAYOUT = 2**31 + 5


def with_checkpoints(change: BatchChanges, blobs: dict[int, bytes], layout: int = LAYOUT) -> BatchChanges:
    """Return a batch that also keeps these states."""
    ids = np.array(list(blobs), np.int64)
    versions = np.full(len(ids), change.entry.timeProcessedMjdTai)
    return replace(change, checkpoints=Checkpoints(ids, versions, layout, list(blobs.values())))


def first() -> BatchChanges:
    """Return a batch of two objects that are kept."""
    ids = (KEPT, OTHER)
    made = changes(
        FIRST,
        [source(one) for one in ids],
        [dia_object(one, 60000.6) for one in ids],
        [forced(one, one, *FIRST) for one in ids],
        delta=2,
    )
    return with_checkpoints(made, {KEPT: b"a state\x00\xff", OTHER: bytes(range(256)) * 40})


def kept(apdb: OpenApdb, layout: int = LAYOUT) -> dict[int, tuple[float, bytes]]:
    """Return version and state of each checkpoint."""
    with apdb.exclusive(CELLS) as session:
        found = session.load_checkpoints(np.array([KEPT, OTHER, 7]), layout)
    assert found.layout == layout
    columns = found.diaObjectId.tolist(), found.validityStartMjdTai.tolist(), map(bytes, found.blobs)
    return {identifier: (version, blob) for identifier, version, blob in zip(*columns, strict=True)}


class CheckpointTests(ApdbCase):
    """States that are kept beside the rows: one an object, and none that another row contradicts."""

    def test_they_come_back_as_they_were(self, apdb: OpenApdb) -> None:
        assert kept(apdb) == {}
        store(apdb, first())
        assert kept(apdb) == {KEPT: (60000.6, b"a state\x00\xff"), OTHER: (60000.6, bytes(range(256)) * 40)}

    def test_those_of_another_layout_are_not_found(self, apdb: OpenApdb) -> None:
        store(apdb, first())
        assert kept(apdb, LAYOUT + 1) == {}
        later = changes(SECOND, objects=[dia_object(KEPT, 60001.0)], time=60001.0)
        store(apdb, with_checkpoints(later, {KEPT: b"other"}, LAYOUT + 1))
        assert kept(apdb, LAYOUT + 1) == {KEPT: (60001.0, b"other")}
        assert list(kept(apdb)) == [OTHER]

    def test_a_later_one_takes_the_place_of_the_earlier(self, apdb: OpenApdb) -> None:
        store(apdb, first())
        later = changes(SECOND, objects=[dia_object(KEPT, 60001.0)], time=60001.0)
        store(apdb, with_checkpoints(later, {KEPT: b"later"}))
        assert kept(apdb)[KEPT] == (60001.0, b"later")

    def test_a_version_alone_leaves_it(self, apdb: OpenApdb) -> None:
        store(apdb, first(), changes(SECOND, objects=[dia_object(KEPT, 60001.0)], time=60001.0))
        assert list(kept(apdb)) == [KEPT, OTHER]

    def test_none_stays_of_what_is_voided_or_closed(self, apdb: OpenApdb) -> None:
        store(apdb, first())
        again = changes(FIRST, [source(KEPT)], [dia_object(KEPT, 60002.0)], time=60002.0, revision=1, closed=[OTHER])
        store(apdb, replace(again, voided=np.array([KEPT])))
        assert kept(apdb) == {}

    def test_later_sources_are_read_alone(self, apdb: OpenApdb) -> None:
        second = changes(
            SECOND,
            [source(9, diaObjectId=KEPT, timeProcessedMjdTai=60001.0, psfFlux=5.0)],
            [dia_object(KEPT, 60001.0, nDiaSources=2)],
            time=60001.0,
        )
        store(apdb, first(), second)
        with apdb.exclusive(CELLS) as session:
            ids = np.array([OTHER, KEPT])
            later = session.load_later_points(ids, np.array([-np.inf, 60000.6]))
            none = session.load_later_points(ids, np.array([60000.6, 60001.0]))
        assert later.offsets.tolist() == [0, 1, 2]
        assert later.points.psfFlux[1] == 5.0
        assert none.offsets.tolist() == [0, 0, 0]

    def test_they_are_also_stored_outside_of_a_batch(self, apdb: OpenApdb) -> None:
        store(apdb, first())
        with apdb.exclusive(CELLS) as session:
            session.read_snapshot([], TILES)
            session.keep(Checkpoints(np.array([KEPT]), np.array([60001.0]), LAYOUT, [b"anew"]))
            session.keep(Checkpoints(np.array([OTHER]), np.array([60002.0]), LAYOUT + 1, [b"of another layout"]))
        assert kept(apdb) == {KEPT: (60001.0, b"anew")}
        assert kept(apdb, LAYOUT + 1) == {OTHER: (60002.0, b"of another layout")}


class OutdatedCheckpointTests(OtherWritersTests):
    """States that another program contradicts."""

    def test_none_stays_of_what_another_program_changes(self, apdb: OpenApdb, client: DaxClient, name: str) -> None:
        store(apdb, first())
        update, outdated = UPDATES[name]
        update(client)
        assert not set(kept(apdb)) & {*outdated, OTHER}

    def test_none_is_stored_of_tiles_that_another_program_has_changed(
        self, apdb: OpenApdb, client: DaxClient, name: str
    ) -> None:
        store(apdb, first())
        update, outdated = UPDATES[name]
        with apdb.exclusive(CELLS) as session:
            session.read_snapshot([], TILES)
            update(client)
            with pytest.raises(TilesChangedError, match="another program changed objects"):
                session.keep(Checkpoints(np.array([OTHER]), np.array([60001.0]), LAYOUT, [b"too late"]))
        assert kept(apdb).get(OTHER) != (60001.0, b"too late")
        assert not set(kept(apdb)) & set(outdated)
