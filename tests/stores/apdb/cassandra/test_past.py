"""What our tables find of versions and batches, over days, partitions and places."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import uuid4

import astropy.time
import numpy as np
import pytest
from lsst.dax.apdb import Apdb

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import FloatArray
from stream_assoc.pipeline.exceptions import RowsRefusedError
from stream_assoc.stores.apdb.cassandra import whole_tables
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.reading import CassandraReader
from stream_assoc.stores.apdb.cassandra.whole_tables import token_stretches
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.inspection import finds
from stream_assoc.testing.rows import BIG, CELLS, FIRST, changes, dia_object, forced, new_objects, source, store
from tests.cassandra.prepared import ONE_NODE, PreparedApdb
from tests.cassandra.ring import Ring

pytestmark = pytest.mark.integration

EARLY, LATE = 60_000.6, 60_400.25
"""Days, and time partitions, apart."""
VISITS = (5, 2**16 - 1, 2**16, 2**40, 2**40 + 1)
"""Stretches apart, and neighbours."""


def observed(visit: int, time: float, ra: float = 10.0, identifier: int = BIG, **values: Any) -> BatchChanges:
    """Return a batch with one source of an object, which gets a version."""
    row = source(visit, ra=ra, diaObjectId=identifier, timeProcessedMjdTai=time, midpointMjdTai=time - 0.1)
    return changes(BatchId(visit, 3), [row], [dia_object(identifier, time, ra=ra, **values)], time=time)


@pytest.fixture
def divided_apdb(cassandra_node: Ring) -> Iterator[CassandraUrl]:
    """An APDB whose time partitions have tables of their own."""
    choices = replace(
        ONE_NODE,
        time_partition_tables=True,
        time_partition_start="2023-02-23T00:00:00",
        time_partition_end="2023-04-20T00:00:00",
    )
    apdb = PreparedApdb(CassandraUrl(cassandra_node.addresses, f"divided_{uuid4().hex}"), choices)
    yield apdb.url
    apdb.close()


@pytest.fixture
def reader(cassandra_apdb: CassandraUrl) -> Iterator[CassandraReader]:
    with closing(CassandraReader(cassandra_apdb, DEFAULT_PATIENCE, any_version=False)) as reader:
        yield reader


@pytest.fixture
def stored(cassandra_apdb: CassandraUrl) -> None:
    """Store an object that moves on by a pixel in its second year, and one that is closed then."""
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        store(apdb, observed(VISITS[0], EARLY), new_objects(FIRST, [7], EARLY + 0.5))
        store(apdb, observed(VISITS[2], EARLY + 60.0, nDiaSources=2))
        store(apdb, observed(VISITS[3], LATE, ra=10.05, nDiaSources=3))
        store(apdb, changes(BatchId(VISITS[4] + 9, 3), time=LATE + 0.25, closed=[7]))


def test_versions_are_found_in_all_their_partitions(stored: None, reader: CassandraReader) -> None:
    versions = reader.versions(BIG)
    assert versions["validityStartMjdTai"].to_pylist() == [LATE, EARLY + 60.0, EARLY]
    assert versions["validityEndMjdTai"].to_pylist() == [None, LATE, EARLY + 60.0]
    assert reader.versions(BIG, 2)["nDiaSources"].to_pylist() == [3, 2]
    assert reader.first_version(BIG) == EARLY


def test_the_sky_before_a_time_has_what_was_there_then(stored: None, reader: CassandraReader) -> None:
    here, there, dec = np.array([10.0]), np.array([10.05]), np.array([-5.0])

    def before(ra: FloatArray, time: float) -> dict[int, float]:
        found = reader.sky_before(ra, dec, 2.0, time)
        return dict(zip(found.diaObjectId.tolist(), found.validityStartMjdTai.tolist(), strict=True))

    assert before(here, EARLY) == {}
    assert before(here, EARLY + 1.0) == {7: EARLY + 0.5, BIG: EARLY}
    # In force for a year, so that its partition is long past.
    assert before(here, LATE) == {7: EARLY + 0.5, BIG: EARLY + 60.0}
    assert before(there, LATE) == {}
    assert before(there, LATE + 1.0) == {BIG: LATE}
    # It ends at this very time.
    assert before(here, LATE + 0.25) == {7: EARLY + 0.5}
    assert before(here, LATE + 1.0) == {}
    wide = reader.sky_before(here, dec, 600.0, LATE + 1.0)
    assert wide.diaObjectId.tolist() == [BIG]


def test_objects_come_by_their_last_version(cassandra_apdb: CassandraUrl, reader: CassandraReader) -> None:
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        for turn, identifier in enumerate([11, 12, 13, 11, 14]):
            store(apdb, observed(100 + turn, EARLY + 0.7 * turn, identifier=identifier))
    assert reader.recent_objects()["diaObjectId"].to_pylist() == [14, 11, 13, 12]
    assert reader.recent_objects(2)["diaObjectId"].to_pylist() == [14, 11]
    assert reader.overview().last_processed == EARLY + 0.7 * 4


def test_batches_come_by_visit(cassandra_apdb: CassandraUrl, reader: CassandraReader) -> None:
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        for visit in sorted(VISITS, key=lambda visit: visit % 7):
            for detector in (188, 0):
                store(apdb, changes(BatchId(visit, detector)))
        store(apdb, changes(BatchId(5, 0), time=60_001.0, revision=1))
    highest = [entry.key for entry in reader.recent_batches(5)]
    assert highest == [(visit, detector, 0) for visit in (2**40 + 1, 2**40, 2**16) for detector in (188, 0)][:5]
    every = [entry.key for entry in reader.recent_batches()]
    assert every == sorted(every, reverse=True)
    assert len(every) == 11
    assert [entry.key[1:] for entry in reader.batches_of_visit(5)] == [(0, 0), (0, 1), (188, 0)]
    assert [entry.revision for entry in reader.processings(BatchId(5, 0))] == [0, 1]
    assert reader.batches_of_visit(6) == []


def test_rows_are_estimated_where_they_are_many(
    stored: None, reader: CassandraReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader.overview().n_object_versions == 4
    monkeypatch.setattr(whole_tables, "_ROWS_A_SAMPLE", 1)
    assert reader.overview().n_object_versions >= 3


def test_tables_of_time_partitions_are_read_as_one(divided_apdb: CassandraUrl) -> None:
    with closing(ApdbCase.open(divided_apdb)) as apdb:
        store(apdb, observed(1, EARLY))
        store(apdb, observed(2, EARLY + 30.0, nDiaSources=2))
        store(apdb, changes(FIRST, forced_sources=[forced(1, BIG, *FIRST)], time=EARLY + 31.0))
    with closing(CassandraReader(divided_apdb, DEFAULT_PATIENCE, any_version=False)) as reader:
        assert reader.versions(BIG)["nDiaSources"].to_pylist() == [2, 1]
        assert reader.recent_objects()["nDiaSources"].to_pylist() == [2]
        assert reader.source(1)["visit"].to_pylist() == [1]
        assert reader.source(2)["visit"].to_pylist() == [2]
        assert reader.sources_of_objects(np.array([BIG]))["diaSourceId"].to_pylist() == [1, 2]
        assert reader.sources_of_batch(BatchId(2, 3))["diaSourceId"].to_pylist() == [2]
        assert reader.forced_sources(BIG).num_rows == reader.all_forced_sources().num_rows == 1
        assert sorted(reader.all_sources()["diaSourceId"].to_pylist()) == [1, 2]
        assert reader.all_versions(["nDiaSources"], only_current=True).to_pylist() == [{"nDiaSources": 2}]
        overview = reader.overview()
        assert (overview.n_objects, overview.n_object_versions, overview.n_sources) == (1, 2, 2)
    with divided_apdb.inspection(DEFAULT_PATIENCE, flag_columns=()) as inspection:
        assert finds(inspection) == []


def test_tables_that_are_dropped_are_left_out(divided_apdb: CassandraUrl) -> None:
    with closing(ApdbCase.open(divided_apdb)) as running:
        store(running, observed(1, EARLY), new_objects(FIRST, [7, 8], EARLY))
        store(running, observed(2, EARLY + 30.0, nDiaSources=2))
        administrator: Any = Apdb.from_config(divided_apdb.dax_config())
        time = astropy.time.Time(EARLY + 30.0, format="mjd", scale="tai")
        assert len(administrator.admin.delete_time_partitions(time)) == 1
        with pytest.raises(ApdbSchemaError, match="dropped while this process ran; start it anew"):
            store(running, observed(3, EARLY + 31.0, nDiaSources=3))
    with closing(ApdbCase.open(divided_apdb)) as apdb:
        store(apdb, observed(3, EARLY + 31.0, nDiaSources=3))
        # The versions and sources that it ends, moves and withdraws are gone.
        again = [source(7, midpointMjdTai=EARLY + 30.0)]
        versions = [dia_object(7, EARLY + 32.0)]
        store(apdb, changes(FIRST, again, versions, time=EARLY + 32.0, revision=1, closed=[8]))
        with apdb.exclusive(CELLS) as session:
            histories = session.load_histories(np.array([7, BIG]))
            assert histories.offsets.tolist() == [0, 1, 3]
    with closing(CassandraReader(divided_apdb, DEFAULT_PATIENCE, any_version=False)) as reader:
        assert reader.versions(BIG)["nDiaSources"].to_pylist() == [3, 2]
        assert reader.first_version(BIG) == EARLY + 30.0
        assert reader.source(1).num_rows == reader.versions(8).num_rows == 0
        assert reader.sources_of_batch(FIRST)["diaSourceId"].to_pylist() == [7]
        assert reader.sky_before(np.array([10.0]), np.array([-5.0]), 2.0, EARLY + 1.0).diaObjectId.tolist() == []


def test_stretches_hold_every_token_once() -> None:
    for n_stretches in (1, 7, 64):
        stretches = token_stretches(n_stretches)
        assert [low for low, _ in stretches[1:]] == [high for _, high in stretches[:-1]]
        # No key has the least token.
        assert (stretches[0][0], stretches[-1][1]) == (-(2**63), 2**63 - 1)


def test_a_time_that_has_no_table_is_refused_before_the_commit(divided_apdb: CassandraUrl) -> None:
    with closing(ApdbCase.open(divided_apdb)) as apdb:
        with pytest.raises(RowsRefusedError, match=r"no table DiaSource_\d+.*midpointMjdTai.*extend-temporal"):
            store(apdb, changes(FIRST, [source(BIG, midpointMjdTai=EARLY + 1000.0)], time=EARLY))
        store(apdb, observed(VISITS[0], EARLY))
        assert not apdb.contains(FIRST)
