"""What other programs note for replicas, where the database can judge it: too early is too early for them too."""

import contextlib

import astropy.time
import pytest
from lsst.dax.apdb import DiaObjectId, DiaSourceId

from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.replication import Replication
from stream_assoc.testing.case import DaxClient
from stream_assoc.testing.replication import BEGIN, SECOND_OF_DAY, ReplicationTests
from stream_assoc.testing.rows import BIG, FIRST, SECOND, changes, dia_object, new_objects, source, store


class OtherRecordsTests(ReplicationTests):
    """What the database makes of the notes of other programs."""

    @pytest.fixture
    def administrator(self, client: DaxClient, monkeypatch: pytest.MonkeyPatch) -> DaxClient:
        """Return the client of a program that works a third of a day after the first batch."""
        monkeypatch.setattr(client, "_current_time", lambda: astropy.time.Time(60000.9, format="mjd", scale="tai"))
        return client

    def test_a_closing_by_another_program_is_not_told_too_early(
        self, apdb: OpenApdb, administrator: DaxClient
    ) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
        administrator.get_replica().deleteReplicaChunks([self.upstream_chunk(60000.6)])
        store(apdb, changes(SECOND, objects=[dia_object(BIG, 60000.7)], time=60000.7))
        objects = [DiaObjectId(diaObjectId=one, ra=10.0, dec=-5.0) for one in (BIG, BIG + 2)]
        assert administrator.setValidityEnd(objects, administrator._current_time()) == 2
        assert self.select(administrator, "DiaObjectLast", "diaObjectId") == []
        assert self.told(administrator) == [("close_diaobject_validity", BIG + 2)]

    def test_counts_by_another_program_are_not_told_too_early(self, apdb: OpenApdb, administrator: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
        self.reassign(administrator)
        assert self.told(administrator) == [("reassign_diasource_to_diaobject", BIG)]

    def test_how_early_is_too_early_is_announced(self, place: ApdbUrl, administrator: DaxClient) -> None:
        with contextlib.closing(self.open(place, replication=Replication(lag_seconds=900.0))) as apdb:
            store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
            apdb.announce_replication()
        self.reassign(administrator)
        assert sorted(self.told(administrator)) == [
            ("reassign_diasource_to_diaobject", BIG),
            ("update_n_dia_sources", BIG),
            ("update_n_dia_sources", BIG + 2),
        ]

    def test_another_program_does_not_tell_of_sources_without_owner(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, changes(FIRST, [source(BIG), source(BIG + 2, diaObjectId=None)]))
        client.withdrawDiaSources([self.source_id(BIG), self.source_id(BIG + 2)])
        assert self.told(client) == [("withdraw_diasource", BIG)]

    def test_a_chunk_that_another_program_begins_keeps_the_one_before_too(
        self, apdb: OpenApdb, client: DaxClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(apdb, changes(FIRST, [source(BIG), source(BIG + 2)], time=BEGIN + 10 * SECOND_OF_DAY))
        for key, second in ((BIG, 620), (BIG + 2, 3620)):
            time = astropy.time.Time(BEGIN + second * SECOND_OF_DAY, format="mjd", scale="tai")
            monkeypatch.setattr(client, "_current_time", lambda time=time: time)
            client.withdrawDiaSources([self.source_id(key)])
        assert self.chunks(client) == [(0, 620), (600, 620), (3600, 3620)]

    @staticmethod
    def source_id(identifier: int) -> DiaSourceId:
        return DiaSourceId(diaSourceId=identifier, ra=10.0, dec=-5.0, midpointMjdTai=60000.5)

    def reassign(self, client: DaxClient) -> None:
        """Reassign a source from one of two objects to the other."""
        client.reassignDiaSourcesToDiaObjects({self.source_id(BIG): BIG + 2})
