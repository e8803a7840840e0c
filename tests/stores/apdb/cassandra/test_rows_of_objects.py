"""What is read of an object's history does not grow with the history."""

from collections.abc import Iterable
from contextlib import closing

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.rows_of_objects import RowsOfObjects
from stream_assoc.testing.case import ApdbCase
from stream_assoc.testing.rows import BIG, changes, dia_object, source, store

pytestmark = pytest.mark.integration

EARLY = 60_000.6
MONTH = 31.0
N_MONTHS = 6


def seen(visit: int, observed: float, processed: float) -> BatchChanges:
    """Return a batch with one source of an object, which gets a version."""
    row = source(visit, diaObjectId=BIG, midpointMjdTai=observed, timeProcessedMjdTai=processed)
    return changes(BatchId(visit, 1), [row], [dia_object(BIG, processed, nDiaSources=visit)], time=processed)


def test_partitions_without_later_sources_are_not_read(
    cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[set[tuple[int, int]]] = []
    in_partitions = RowsOfObjects.in_partitions

    def noted(self: RowsOfObjects, kind: str, partitions: Iterable[tuple[int, int]], columns: list[str]) -> object:
        read.append(set(partitions))
        return in_partitions(self, kind, read[-1], columns)

    times = [EARLY + MONTH * month for month in range(N_MONTHS)]
    monkeypatch.setattr(RowsOfObjects, "in_partitions", noted)
    with closing(ApdbCase.open(cassandra_apdb)) as apdb:
        for visit, time in enumerate(times, start=1):
            store(apdb, seen(visit, time - 0.1, time))
        # One that was observed in the first month comes last.
        store(apdb, seen(N_MONTHS + 1, times[0], times[-1] + 1.0))
        read.clear()
        with apdb.reading() as reader:
            later = reader.load_later_points(np.array([BIG]), np.array([times[-2]]))
            everything = reader.load_later_points(np.array([BIG]), np.array([-np.inf]))
    assert later.points.midpointMjdTai.tolist() == [times[-1] - 0.1, times[0]]
    assert len(everything.points) == N_MONTHS + 1
    assert [len(partitions) for partitions in read] == [2, N_MONTHS]
