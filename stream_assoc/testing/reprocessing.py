"""A commit that takes the place of an earlier one."""

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.pipeline.exceptions import (
    DuplicateSourceError,
    LedgerConflictError,
    RowsRefusedError,
)
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    TILES,
    changes,
    dia_object,
    forced,
    new_objects,
    source,
    store,
)


class ReprocessingTests(ApdbCase):
    """A commit that takes the place of an earlier one."""

    def store_and_reprocess(self, apdb: OpenApdb) -> None:
        """Store two objects and a third that another batch adds to; then take back the first batch, but for one."""
        first = changes(
            FIRST,
            [source(BIG + k, timeProcessedMjdTai=60000.6) for k in (0, 2, 4)],
            [dia_object(BIG + k, 60000.6) for k in (0, 2, 4)],
            [forced(70 + k, BIG + k, *FIRST) for k in (0, 2, 4)],
            delta=3,
        )
        second = changes(
            SECOND,
            [source(BIG + 9, diaObjectId=BIG + 4, timeProcessedMjdTai=60001.0)],
            [dia_object(BIG + 4, 60001.0, nDiaSources=2)],
            time=60001.0,
            delta=-1,
        )
        again = changes(
            FIRST,
            [source(BIG, psfFlux=2.0, timeProcessedMjdTai=60002.0)],
            [dia_object(BIG, 60002.0), dia_object(BIG + 4, 60002.0)],
            [forced(80, BIG, *FIRST)],
            time=60002.0,
            revision=1,
            closed=[BIG + 2],
        )
        store(apdb, first, second)
        store(apdb, again)

    def test_rows_of_the_earlier_processing_are_replaced_or_withdrawn(
        self, apdb: OpenApdb, client: DaxClient
    ) -> None:
        self.store_and_reprocess(apdb)
        sources = self.select(client, "DiaSource", "diaSourceId", "psfFlux", "timeWithdrawnMjdTai")
        assert [(one, withdrawn) for one, _, withdrawn in sources] == [
            (BIG, None),
            (BIG + 2, 60002.0),
            (BIG + 4, 60002.0),
            (BIG + 9, None),
        ]
        assert sources[0][1] == 2.0
        forced_sources = self.select(client, "DiaForcedSource", "diaForcedSourceId", "timeWithdrawnMjdTai")
        assert forced_sources == [(72, 60002.0), (74, 60002.0), (80, None)]
        ends = self.select(client, "DiaObject", "diaObjectId", "validityStartMjdTai", "validityEndMjdTai")
        assert [end for identifier, _, end in ends if identifier == BIG + 2] == [60002.0]
        assert self.select(client, "DiaObjectLast", "diaObjectId") == [(BIG,), (BIG + 4,)]

    def test_what_counts_is_told(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        with apdb.exclusive(CELLS) as session:
            snapshot = session.read_snapshot([FIRST, SECOND], TILES)
            counted = session.counted_sources(FIRST)
            latest = session.latest_versions(np.array([BIG + 4, 3, BIG + 2, BIG]))
            histories = session.load_histories(np.array([BIG, BIG + 4]))
            without = session.load_histories(np.array([BIG, BIG + 4]), without=FIRST)
            nothing = session.counted_sources(BatchId(1, 1))
        assert [entry.revision for entry in snapshot.entries[FIRST]] == [0, 1]
        assert (counted.diaSourceId.tolist(), counted.diaObjectId.tolist()) == ([BIG], [BIG])
        assert len(nothing) == 0
        assert latest.positions.diaObjectId.tolist() == [BIG, BIG + 2, BIG + 4]
        assert latest.is_open.tolist() == [True, False, True]
        np.testing.assert_array_equal(latest.validityEndMjdTai, [np.nan, 60002.0, np.nan])
        assert latest.positions.validityStartMjdTai.tolist() == [60002.0, 60000.6, 60002.0]
        assert histories.offsets.tolist() == [0, 1, 2]
        assert without.offsets.tolist() == [0, 0, 1]
        assert without.points.psfFlux.tolist() == [histories.points.psfFlux[1]]

    def test_each_processing_has_its_own_outbox_entry(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        assert [(*left.entry.key,) for left in apdb.unpublished()] == [(*FIRST, 0), (*SECOND, 0), (*FIRST, 1)]
        apdb.mark_published([BatchRevision(*FIRST, 1)])
        assert [left.entry.revision for left in apdb.unpublished()] == [0, 0]
        kept = apdb.outbox_entry(BatchRevision(*FIRST, 0))
        assert kept is not None
        assert kept.outputs == changes(FIRST).outputs

    def test_replicas_are_told_what_was_taken_back(self, apdb: OpenApdb, client: DaxClient) -> None:
        self.store_and_reprocess(apdb)
        replica = client.get_replica()
        chunks = [chunk.id for chunk in replica.getReplicaChunks() or ()]
        assert self.upstream_chunk(60002.0) in chunks
        records = sorted(replica.getUpdateRecordChunks(chunks))
        told = [(record.update_type, *(value for _, value in record.record_id())) for record in records]
        assert told == [
            ("withdraw_diasource", BIG + 2),
            ("withdraw_diasource", BIG + 4),
            ("withdraw_diaforcedsource", BIG + 2, *FIRST),
            ("withdraw_diaforcedsource", BIG + 4, *FIRST),
            ("close_diaobject_validity", BIG + 2),
        ]
        assert {record.record_payload()[0][1] for record in records} == {60002.0}

    def test_a_reprocessing_that_is_refused_changes_nothing(self, apdb: OpenApdb) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]), new_objects(SECOND, [BIG + 9], time=60000.7))
        before = apdb.count_rows()
        refused = changes(FIRST, [source(BIG, midpointMjdTai=None)], time=60001.0, revision=1)
        with pytest.raises(RowsRefusedError, match="midpointMjdTai"):
            store(apdb, refused)
        stolen = changes(FIRST, [source(BIG), source(BIG + 9)], time=60001.0, revision=1)
        with pytest.raises(DuplicateSourceError, match=rf"diaSourceId {BIG + 9} is"):
            store(apdb, stolen)
        assert apdb.count_rows() == before
        with apdb.exclusive(CELLS) as session:
            assert session.counted_sources(FIRST).diaSourceId.tolist() == [BIG, BIG + 2]

    def test_the_same_revision_stored_meanwhile(self, apdb: OpenApdb) -> None:
        self.store_and_reprocess(apdb)
        with pytest.raises(LedgerConflictError):
            store(apdb, changes(FIRST, [source(BIG)], time=60003.0, revision=1))
