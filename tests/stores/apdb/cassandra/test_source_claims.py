"""Two batches without a common cell bring the same source: one of them is stored."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.pipeline.exceptions import ApdbUnavailableError, DuplicateSourceError, FencedError
from stream_assoc.stores.apdb.cassandra.apdb import CassandraApdb
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.replication import DEFAULT_REPLICATION
from stream_assoc.testing.rows import BIG, FIRST, SECOND, changes, dia_object, pixel, source
from tests.cassandra.contents import read_table

pytestmark = pytest.mark.integration

HERE, THERE = {"ra": 10.0, "dec": -5.0}, {"ra": 200.0, "dec": 40.0}
Two = tuple[CassandraApdb, CassandraApdb]


@pytest.fixture
def two(cassandra_apdb: CassandraUrl) -> Iterator[Two]:
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(contextlib.closing(opened(cassandra_apdb))) for _ in range(2))
        yield one, other


def opened(url: CassandraUrl) -> CassandraApdb:
    apdb = url.open(tile_level=10, flag_columns=(), patience=DEFAULT_PATIENCE, replication=DEFAULT_REPLICATION)
    assert isinstance(apdb, CassandraApdb)
    return apdb


def batch(identifier: BatchId, where: dict[str, float]) -> BatchChanges:
    """Return a batch that makes an object of the one source."""
    return changes(identifier, [source(BIG, **where)], [dia_object(identifier.detector, 60000.6, **where)])


def cells(where: dict[str, float]) -> np.ndarray[Any, Any]:
    return np.array([pixel(where["ra"], where["dec"], 8)])


def owners(url: CassandraUrl) -> list[object]:
    names, rows = read_table(url, "DiaSource")
    return [(row[names.index("visit")], row[names.index("detector")]) for row in rows]


def store(apdb: CassandraApdb, identifier: BatchId, where: dict[str, float]) -> None:
    with apdb.exclusive(cells(where)) as session:
        session.commit([batch(identifier, where)])


@pytest.mark.rules("OwnerByLWT", "OwnerPasses", "OwnerIsFenced")
def test_whoever_has_claimed_a_source_and_not_committed_is_aborted(
    two: Two, cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = two
    write = slow._database.plans.write

    def write_late(*plan: Any) -> None:
        store(quick, SECOND, THERE)
        write(*plan)

    # By then the slow one has seen that nobody has stored the source.
    monkeypatch.setattr(slow._database.plans, "write", write_late)
    with pytest.raises(FencedError):
        store(slow, FIRST, HERE)
    assert owners(cassandra_apdb) == [SECOND]
    assert not slow.contains(FIRST)


@pytest.mark.rules("PlanBeforeCommit")
def test_a_source_that_is_committed_and_not_applied_is_found(
    two: Two, cassandra_apdb: CassandraUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = two

    def die(*_: object) -> None:
        raise ApdbUnavailableError("killed")

    monkeypatch.setattr(dying._database.applier, "apply_requests", die)
    monkeypatch.setattr(dying, "_leave", lambda *_: None)
    with pytest.raises(ApdbUnavailableError, match="killed"):
        store(dying, FIRST, HERE)
    with pytest.raises(DuplicateSourceError, match=str(BIG)):
        store(other, SECOND, THERE)
    assert owners(cassandra_apdb) == [FIRST]
    assert other.still_waiting([BatchRevision(*FIRST, 0)])


def test_claims_are_forgotten_with_the_batch(two: Two) -> None:
    one, _ = two
    store(one, FIRST, HERE)
    assert one._connection.read('SELECT block FROM "StreamAssocSourceClaim"') == []
