"""How many conditional writes and SERIAL reads a session takes, and at which consistency it reads and writes."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from cassandra import ConsistencyLevel

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.leases import region_of
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import BIG, changes, dia_object, pixel, source

pytestmark = pytest.mark.integration

HERE, BESIDE, FAR = ({"ra": 10.0, "dec": -5.0}, {"ra": 10.4, "dec": -5.3}, {"ra": 200.0, "dec": 40.0})
Places = Sequence[dict[str, float]]


@pytest.fixture
def apdb(cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch) -> Iterator[CassandraApdb]:
    """Return an APDB whose groups nobody renews: that depends on the time."""
    opened = cassandra_apdb.open(
        tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION
    )
    assert isinstance(opened, CassandraApdb)
    with contextlib.closing(opened):
        monkeypatch.setattr(opened._database.groups, "renew", lambda *_: True)
        yield opened


@pytest.fixture
def sent(apdb: CassandraApdb, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what is counted of the requests from now on: conditional writes, and requests of each consistency."""
    counts = Counter[str]()
    session = apdb._connection._session
    execute_async = session.execute_async

    def counted(request: Any, *arguments: Any, **named: Any) -> Any:
        counts[ConsistencyLevel.value_to_name[request.consistency_level]] += 1
        return execute_async(request, *arguments, **named)

    monkeypatch.setattr(session, "execute_async", counted)
    for name in ("decide", "decide_together"):
        monkeypatch.setattr(apdb._connection, name, _counting(counts, getattr(apdb._connection, name)))
    return counts


def _counting(counts: Counter[str], decide: Any) -> Any:
    def decided(*arguments: Any) -> Any:
        counts["conditional"] += 1
        return decide(*arguments)

    return decided


def cells_of(places: Places) -> list[int]:
    return sorted({pixel(**place, level=8) for place in places})


def batch(visit: int, places: Places) -> BatchChanges:
    """Return a batch of one new object at each of these places."""
    ids = [BIG + 100 * visit + number for number in range(len(places))]
    sources = [source(one, **place) for one, place in zip(ids, places, strict=True)]
    objects = [dia_object(one, 60000.6, **place) for one, place in zip(ids, places, strict=True)]
    return changes(BatchId(visit, 1), sources, objects, delta=len(ids))


def store(apdb: CassandraApdb, places: Places, visits: Sequence[int]) -> None:
    tiles = np.array(sorted({pixel(**place, level=10) for place in places}))
    with apdb.exclusive(np.array(cells_of(places))) as session:
        session.read_snapshot([BatchId(visit, 1) for visit in visits], tiles)
        session.commit([batch(visit, places) for visit in visits])


@pytest.mark.parametrize(
    ("places", "n_batches", "n_conditional", "n_serial"),
    [([HERE], 1, 6, 6), ([HERE, BESIDE], 1, 6, 6), ([HERE, FAR], 1, 8, 9), ([HERE], 2, 7, 7)],
    ids=["one cell", "two cells of a region", "two regions", "two batches"],
)
def test_a_session_takes_few_conditional_writes_and_serial_reads(
    apdb: CassandraApdb, sent: Counter[str], places: Places, n_batches: int, n_conditional: int, n_serial: int
) -> None:
    """The numbers are those of docs/cassandra-protocol.md."""
    assert len(set(map(region_of, cells_of(places)))) == (2 if FAR in places else 1)
    for first in (1, 11):
        sent.clear()
        store(apdb, places, range(first, first + n_batches))
        assert (sent["conditional"], sent["SERIAL"]) == (n_conditional, n_serial)


@pytest.mark.rules("ReadSerial", "Quorum")
def test_rows_are_read_and_written_at_a_quorum_and_what_is_decided_is_read_at_serial(
    apdb: CassandraApdb, sent: Counter[str]
) -> None:
    store(apdb, [HERE], [1])
    assert sent["SERIAL"] > 0
    assert sent.keys() == {"conditional", "SERIAL", "QUORUM"}
