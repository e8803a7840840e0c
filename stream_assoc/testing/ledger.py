"""The ledger, the outbox, the counters, and the notes of daemons."""

import contextlib
from dataclasses import replace

import numpy as np

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import InputPosition
from stream_assoc.pipeline.ports.in_hand import InHand
from stream_assoc.pipeline.ports.outbox import WaitingEntry
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    store,
)


class LedgerTests(ApdbCase):
    """The ledger, the outbox, the counters, and the notes of daemons."""

    def test_empty_database_knows_nothing(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST], TILES)
            tiles = session.load_tiles(TILES).split()
            histories = session.load_histories(np.array([BIG]))
        assert snapshot.entries == {}
        assert snapshot.tile_versions.tolist() == [0]
        assert snapshot.n_single_source == 0
        assert {tile: len(positions) for tile, positions in tiles.items()} == {TILES[0]: 0}
        assert len(histories.diaObjectId) == 0
        assert histories.offsets.tolist() == [0]

    def test_opening_tells_what_was_stored(self, apdb: OpenApdb) -> None:
        batch = changes(FIRST, position=InputPosition("dia-sources", 3, 2**40), tiles=[TILES[0], 99], delta=4)
        assert store(apdb, batch) == [1, 1]
        assert store(apdb, changes(SECOND, tiles=[99], delta=-1)) == [2]
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST, BatchId(1, 1)], np.array([98, 99, TILES[0]]))
        assert snapshot.entries == {FIRST: (batch.entry,)}
        assert snapshot.tile_versions.tolist() == [0, 2, 1]
        assert snapshot.n_single_source == 3

    def test_tiles_that_batches_have_changed_are_known(self, apdb: OpenApdb) -> None:
        assert apdb.known_tiles().tolist() == []
        store(apdb, changes(FIRST, tiles=[99, 2**34]), changes(SECOND, tiles=[7, 99]))
        known = apdb.known_tiles()
        assert known.tolist() == [7, 99, 2**34]
        assert known.dtype == np.int64

    def test_empty_batch_has_a_ledger_row(self, apdb: OpenApdb, client: DaxClient) -> None:
        assert store(apdb, changes(FIRST)) == []
        assert apdb.contains(FIRST)
        assert not apdb.contains(SECOND)
        assert self.select(client, "DiaSource", "diaSourceId") == []

    def test_opening_tells_which_batches_of_its_tiles_are_unpublished(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            assert session.read_snapshot([], np.array([7, 8, 9])).unpublished == ()
        first, second, third = (BatchId(visit, 0) for visit in (1, 2, 3))
        # The last of a transaction stands for all of it: each of them is published after the one before.
        store(apdb, changes(first, tiles=[7]), changes(second, tiles=[8]))
        store(apdb, changes(third, tiles=[8, 9]))
        with apdb.exclusive(CELLS) as session:
            asked = {tiles: session.read_snapshot([], np.array(tiles)).unpublished for tiles in ((7,), (8,), (7, 9))}
        assert asked == {
            (7,): (BatchRevision(*second, 0),),
            (8,): (BatchRevision(*third, 0),),
            (7, 9): (BatchRevision(*second, 0), BatchRevision(*third, 0)),
        }
        apdb.mark_published([BatchRevision(*third, 0)])
        with apdb.exclusive(CELLS) as session:
            assert session.read_snapshot([], np.array([7, 8, 9])).unpublished == (BatchRevision(*second, 0),)

    def test_outbox_knows_what_comes_first_and_who_publishes(self, apdb: OpenApdb) -> None:
        before = (BatchRevision(2**40, 188, 0), BatchRevision(7, 0, 3))
        batch = replace(changes(FIRST), predecessors=before, consumer_group="group")
        store(apdb, batch, changes(SECOND))
        assert apdb.waiting() == [
            WaitingEntry(batch.entry, before, "group"),
            WaitingEntry(changes(SECOND).entry, (), None),
        ]
        kept = apdb.outbox_entry(batch.entry.key)
        assert kept is not None
        assert kept.predecessors == before
        second = BatchRevision(*SECOND, 0)
        assert apdb.still_waiting([batch.entry.key, second, *before]) == {batch.entry.key, second}
        apdb.mark_published([second])
        assert apdb.still_waiting([batch.entry.key, second]) == {batch.entry.key}
        assert apdb.still_waiting([]) == frozenset()

    def test_one_of_several_adopts(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        with contextlib.closing(self.open(place)) as other:
            with apdb.sole_adopter() as ours:
                with other.sole_adopter() as theirs:
                    assert (ours, theirs) == (True, False)
                # Cells are not concerned.
                with other.exclusive(CELLS):
                    pass
            with other.sole_adopter() as theirs:
                assert theirs

    def test_outbox_keeps_the_bytes_until_published(self, apdb: OpenApdb) -> None:
        batches = [changes(BatchId(9 - k, k), position=InputPosition("t", 0, k)) for k in range(4)]
        store(apdb, *batches[:2])
        store(apdb, *batches[2:])
        assert [(left.entry, left.outputs) for left in apdb.unpublished()] == [
            (batch.entry, batch.outputs) for batch in batches
        ]
        apdb.mark_published([batches[0].entry.key, batches[2].entry.key])
        assert apdb.outbox_entry(batches[0].entry.key) is None
        left = apdb.outbox_entry(batches[1].entry.key)
        assert left is not None
        assert left.outputs == batches[1].outputs
        assert [left.entry.id for left in apdb.unpublished()] == [batches[1].entry.id, batches[3].entry.id]
        assert apdb.contains(batches[0].entry.id)

    def test_what_is_in_hand_is_known_to_others(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        partitions = [("t", 0), ("t", 1), ("u", 0)]
        assert apdb.in_hand(partitions) == []
        apdb.note_in_hand([InHand("t", 0, 3, 7), InHand("u", 0, 2**40, 2**40 + 1)])
        apdb.note_in_hand([InHand("t", 0, 8, 8, is_suspect=True)])
        with contextlib.closing(self.open(place)) as another:
            found = another.in_hand(partitions)
        assert sorted(found, key=lambda note: note.topic) == [
            InHand("t", 0, 8, 8, is_suspect=True),
            InHand("u", 0, 2**40, 2**40 + 1),
        ]
        assert apdb.in_hand([]) == []
