"""What is noted for replicas, so that one that keeps up and one that lags both go on."""

import contextlib
from collections.abc import Iterator
from typing import ClassVar

import pytest
from lsst.dax.apdb.apdbSchema import ApdbTables

from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.rows import (
    BIG,
    CELLS,
    FIRST,
    SECOND,
    changes,
    dia_object,
    forced,
    new_objects,
    source,
    store,
)

SECOND_OF_DAY = 1 / 86400
BEGIN = 60000.5
"""The beginning of a chunk."""


class ReplicationTests(ApdbCase):
    """What is noted for replicas of the APDB."""

    seconds: float = 0.0
    keeps_copies: ClassVar[bool] = False
    """Whether replicas read rows as they were stored, so that a closing can be told at once."""

    @pytest.fixture
    def slow(self, place: ApdbUrl) -> Iterator[OpenApdb]:
        """Open the APDB with a clock that the test sets."""
        replication = Replication(monotonic=lambda: self.seconds)
        with contextlib.closing(self.open(place, replication=replication)) as apdb:
            yield apdb

    @staticmethod
    def ids(client: DaxClient, table: ApdbTables, column: str, *times: float) -> list[object]:
        """Return a column of what upstream's replicator reads of the chunks of these times."""
        chunks = [ApdbCase.upstream_chunk(time) for time in times]
        data = client.get_replica().getTableDataChunks(table, chunks)
        place = list(data.column_names()).index(column)
        return sorted(row[place] for row in data.rows())

    @staticmethod
    def told(client: DaxClient) -> list[tuple[object, ...]]:
        """Return the update records, as kind and what names the row."""
        replica = client.get_replica()
        records = replica.getUpdateRecordChunks([chunk.id for chunk in replica.getReplicaChunks() or ()])
        return [(record.update_type, *(value for _, value in record.record_id())) for record in records]

    def chunks(self, client: DaxClient) -> list[tuple[int, float]]:
        """Return the chunks and when they changed last, in seconds after `BEGIN`, rounded."""
        begin = self.upstream_chunk(BEGIN)
        return sorted(
            (chunk.id - begin, round((chunk.last_update_time.tai.mjd - BEGIN) / SECOND_OF_DAY))
            for chunk in self.replica_chunks(client)
        )

    def test_a_key_that_comes_again_keeps_its_note(self, apdb: OpenApdb, client: DaxClient) -> None:
        first = changes(
            FIRST, [source(BIG)], [dia_object(BIG, 60000.6)], [forced(70, BIG, *FIRST)], time=60000.6, delta=1
        )
        again = changes(
            FIRST,
            [source(BIG, psfFlux=2.0), source(BIG + 2)],
            [dia_object(BIG, 60001.0), dia_object(BIG + 2, 60001.0)],
            [forced(80, BIG, *FIRST), forced(81, BIG + 2, *FIRST)],
            time=60001.0,
            revision=1,
        )
        store(apdb, first)
        store(apdb, again)
        for time, sources, forced_sources in ((60000.6, [BIG], [80]), (60001.0, [BIG + 2], [81])):
            assert self.ids(client, ApdbTables.DiaSource, "diaSourceId", time) == sources
            assert self.ids(client, ApdbTables.DiaForcedSource, "diaForcedSourceId", time) == forced_sources
        assert self.ids(client, ApdbTables.DiaSource, "psfFlux", 60000.6) == [2.0]
        assert self.ids(client, ApdbTables.DiaObject, "validityStartMjdTai", 60000.6, 60001.0) == [
            60000.6,
            60001.0,
            60001.0,
        ]

    def test_a_key_whose_chunk_was_deleted_is_not_noted_again(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, changes(FIRST, [source(BIG)], forced_sources=[forced(70, BIG, *FIRST)]))
        client.get_replica().deleteReplicaChunks([self.upstream_chunk(60000.6)])
        again = [source(BIG), source(BIG + 2)]
        store(apdb, changes(FIRST, again, forced_sources=[forced(80, BIG, *FIRST)], time=60001.0, revision=1))
        assert self.ids(client, ApdbTables.DiaSource, "diaSourceId", 60000.6, 60001.0) == [BIG + 2]
        assert self.ids(client, ApdbTables.DiaForcedSource, "diaObjectId", 60000.6, 60001.0) == []

    def test_another_owner_is_told(self, apdb: OpenApdb, client: DaxClient) -> None:
        owners = [(BIG, 1), (BIG + 2, 2), (BIG + 4, None)]
        store(apdb, changes(FIRST, [source(key, diaObjectId=owner) for key, owner in owners]))
        again = [source(BIG, diaObjectId=1), source(BIG + 2, diaObjectId=5), source(BIG + 4, diaObjectId=6)]
        store(apdb, changes(FIRST, again, time=60001.0, revision=1))
        # A replica that knows BIG + 4 without an owner refuses every record of it.
        assert self.told(client) == [("reassign_diasource_to_diaobject", BIG + 2)]

    def test_a_source_that_has_lost_its_owner_has_no_records(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
        moved = [source(BIG, diaObjectId=3), source(BIG + 2, diaObjectId=3)]
        store(apdb, changes(FIRST, moved, time=60001.0, revision=1))
        assert len(self.told(client)) == 2
        lost = [source(BIG, diaObjectId=None), source(BIG + 2, diaObjectId=3)]
        store(apdb, changes(FIRST, lost, time=60002.0, revision=2))
        assert self.told(client) == [("reassign_diasource_to_diaobject", BIG + 2)]

    def test_a_row_that_comes_again_is_no_longer_told_to_be_withdrawn(
        self, apdb: OpenApdb, client: DaxClient
    ) -> None:
        rows, forced_rows = [source(BIG), source(BIG + 2)], [forced(70, BIG, *FIRST), forced(71, BIG + 2, *FIRST)]
        store(apdb, changes(FIRST, rows, forced_sources=forced_rows))
        store(apdb, changes(SECOND, forced_sources=[forced(72, BIG, *SECOND)]))
        for batch in (FIRST, SECOND):
            store(apdb, changes(batch, time=60001.0, revision=1))
        assert len(self.told(client)) == 5
        store(apdb, changes(FIRST, rows[:1], forced_sources=forced_rows[:1], time=60002.0, revision=2))
        assert sorted(self.told(client)) == [
            ("withdraw_diaforcedsource", BIG, *SECOND),
            ("withdraw_diaforcedsource", BIG + 2, *FIRST),
            ("withdraw_diasource", BIG + 2),
        ]

    def test_nothing_is_told_of_a_source_that_may_have_been_copied_without_its_owner(
        self, apdb: OpenApdb, client: DaxClient
    ) -> None:
        store(apdb, changes(FIRST, [source(BIG, diaObjectId=None)]))
        store(apdb, changes(FIRST, [source(BIG)], time=60001.0, revision=1))
        store(apdb, changes(FIRST, time=60002.0, revision=2))
        assert self.told(client) == []

    def test_the_withdrawal_of_a_source_without_owner_is_not_told(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, changes(FIRST, [source(BIG), source(BIG + 2, diaObjectId=None)]))
        store(apdb, changes(FIRST, time=60001.0, revision=1))
        assert self.select(client, "DiaSource", "timeWithdrawnMjdTai") == [(60001.0,), (60001.0,)]
        assert self.told(client) == [("withdraw_diasource", BIG)]

    @pytest.mark.parametrize(
        ("days", "is_deleted", "is_told"), [(0.9, False, False), (1.1, False, True), (0.9, True, True)]
    )
    def test_closing_is_told_once_every_replica_has_the_version(
        self, apdb: OpenApdb, client: DaxClient, *, days: float, is_deleted: bool, is_told: bool
    ) -> None:
        store(apdb, new_objects(FIRST, [BIG]))
        if is_deleted:
            client.get_replica().deleteReplicaChunks([self.upstream_chunk(60000.6)])
        store(apdb, changes(FIRST, time=60000.6 + days, revision=1, closed=[BIG]))
        assert (("close_diaobject_validity", BIG) in self.told(client)) == (is_told or self.keeps_copies)

    def test_a_prompt_commit_is_in_the_chunk_of_its_processing_time(self, slow: OpenApdb, client: DaxClient) -> None:
        self.commit_after(slow, 59.0, changes(FIRST, time=BEGIN + 550 * SECOND_OF_DAY))
        assert self.chunks(client) == [(0, 550)]

    def test_a_late_commit_is_in_the_chunk_of_its_own_time(self, slow: OpenApdb, client: DaxClient) -> None:
        self.commit_after(slow, 61.0, changes(FIRST, time=BEGIN + 550 * SECOND_OF_DAY))
        assert self.chunks(client) == [(600, 611)]

    def test_a_chunk_never_seems_older_than_it_was(self, apdb: OpenApdb, client: DaxClient) -> None:
        for batch, second in ((FIRST, 100), (SECOND, 50)):
            store(apdb, changes(batch, time=BEGIN + second * SECOND_OF_DAY))
        assert self.chunks(client) == [(0, 100)]

    def test_whoever_begins_a_chunk_keeps_the_one_before_from_being_copied(
        self, apdb: OpenApdb, client: DaxClient
    ) -> None:
        # Another transaction may be on its way into the first chunk, which could be copied at once.
        for batch, second in ((FIRST, 10), (SECOND, 610)):
            store(apdb, changes(batch, time=BEGIN + second * SECOND_OF_DAY))
        assert self.chunks(client) == [(0, 610), (600, 610)]

    def test_chunks_are_as_long_as_configured(self, place: ApdbUrl, client: DaxClient) -> None:
        with contextlib.closing(self.open(place, replication=Replication(chunk_seconds=60))) as apdb:
            store(apdb, changes(FIRST, time=BEGIN + 70 * SECOND_OF_DAY))
        assert self.chunks(client) == [(60, 70)]

    def commit_after(self, apdb: OpenApdb, seconds: float, *batches: BatchChanges) -> None:
        """Commit batches so long after their session has begun."""
        with apdb.exclusive(CELLS) as session:
            self.seconds += seconds
            session.commit(batches)
