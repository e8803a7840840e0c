"""What the client of ``lsst.dax.apdb`` reads of what was stored."""

import astropy.time
import pytest
from lsst.dax.apdb.apdbSchema import ApdbTables
from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.testing.case import ApdbCase, DaxClient
from stream_assoc.testing.rows import BIG, FIRST, SECOND, changes, dia_object, forced, new_objects, source, store


class DaxTests(ApdbCase):
    """What the client of ``lsst.dax.apdb`` reads of what was stored."""

    def test_client_reads_our_rows(self, apdb: OpenApdb, client: DaxClient) -> None:
        time = astropy.time.Time(60000.6, format="mjd", scale="tai")
        batch = changes(
            FIRST,
            [source(BIG, raErr=float("nan"), trailFlux=None, psfFlux=1.1), source(BIG + 2, glint_trail=True)],
            [dia_object(BIG, 60000.6), dia_object(BIG + 2, 60000.6, r_psfFluxSigma=float("inf"))],
            [forced(77, BIG, FIRST.visit, FIRST.detector, psfFluxErr=float("nan"))],
            delta=2,
        )
        store(apdb, batch)
        region = Circle(UnitVector3d(LonLat.fromDegrees(10.0, -5.0)), Angle.fromDegrees(0.1))
        objects = client.getDiaObjects(region)
        assert sorted(objects["diaObjectId"].tolist()) == [BIG, BIG + 2]
        assert objects["nDiaSources"].tolist() == [1, 1]
        sources = client.getDiaSources(region, [BIG, BIG + 2], time)
        assert sources is not None
        sources = sources.sort_values("diaSourceId")
        assert sources["diaSourceId"].tolist() == [BIG, BIG + 2]
        assert sources["psfFlux"].iloc[0] == pytest.approx(1.1, rel=1e-6)
        assert sources["reliabilityVersion"].tolist() == ["v1.2", "v1.2"]
        assert sources["raErr"].isna().tolist() == [True, True]
        assert [bool(flag) for flag in sources["glint_trail"].fillna(False)] == [False, True]
        forced_sources = client.getDiaForcedSources(region, [BIG], time)
        assert forced_sources is not None
        assert forced_sources["diaForcedSourceId"].tolist() == [77]
        assert forced_sources["psfFluxErr"].isna().tolist() == [True]
        assert client.containsVisitDetector(*FIRST, region, time)
        assert not client.containsVisitDetector(*SECOND, region, time)
        infinite = self.select(client, "DiaObject", "diaObjectId", "r_psfFluxSigma")
        assert infinite == [(BIG, None), (BIG + 2, float("inf"))]

    def test_client_reads_our_replica_chunks(self, apdb: OpenApdb, client: DaxClient) -> None:
        times = [60000.6, 60000.6 + 1e-4, 60000.7]
        batches = [
            changes(
                BatchId(1, k),
                [source(BIG + k)],
                [dia_object(BIG, time)],
                [forced(k, BIG, 1, k)],
                time=time,
            )
            for k, time in enumerate(times)
        ]
        store(apdb, *batches[:2])
        replica = client.get_replica()
        earlier = self.replica_chunks(client)
        store(apdb, batches[2])
        chunks = self.replica_chunks(client)
        assert [chunk.id for chunk in chunks] == sorted({self.upstream_chunk(time) for time in times})
        assert chunks[0] == earlier[0]
        latest = chunks[0].last_update_time.tai.mjd
        assert latest == pytest.approx(times[1], abs=1e-9)
        ids = [chunk.id for chunk in chunks]
        rows = {
            name: len(replica.getTableDataChunks(name, ids).rows())
            for name in (ApdbTables.DiaObject, ApdbTables.DiaSource, ApdbTables.DiaForcedSource)
        }
        assert set(rows.values()) == {3}
        data = replica.getTableDataChunks(ApdbTables.DiaSource, ids[:1])
        place = list(data.column_names()).index("diaSourceId")
        assert sorted(row[place] for row in data.rows()) == [BIG, BIG + 1]

    def test_client_and_we_share_a_chunk(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, changes(FIRST, time=60000.6))
        before = self.replica_chunks(client)
        store(apdb, changes(SECOND, time=60000.6 + 1e-4))
        after = self.replica_chunks(client)
        assert [chunk.id for chunk in before] == [chunk.id for chunk in after]
        assert before[0].unique_id != after[0].unique_id
        assert after[0].last_update_time > before[0].last_update_time


class DaxCountTests(ApdbCase):
    """What the client counts, where it can."""

    def test_client_counts_our_objects_with_one_source(self, apdb: OpenApdb, client: DaxClient) -> None:
        store(apdb, new_objects(FIRST, [BIG, BIG + 2]))
        assert client.countUnassociatedObjects() == 2
