"""The judge of the order of versions sees what it is there to see."""

import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import BIG, CELLS, changes, dia_object, source
from tests.order import not_as_stored, out_of_order
from tests.outputs import ended, objects_of

STORED = 60000.6


@pytest.fixture(scope="module")
def apdb_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An APDB with one object of one version."""
    url = f"sqlite:///{tmp_path_factory.mktemp('apdb') / 'apdb.sqlite3'}"
    init(url)
    apdb = open_apdb(url)
    with apdb.exclusive(CELLS) as session:
        session.commit([changes(BatchId(1, 1), [source(BIG)], [dia_object(BIG, STORED)], time=STORED, delta=1)])
    apdb.close()
    return url


def test_versions_in_order_that_end_as_stored_are_right(apdb_url: str) -> None:
    messages = [*objects_of([BIG, BIG], validityStartMjdTai=[60000.5, STORED])]
    assert out_of_order(messages) == []
    assert not_as_stored(messages, apdb_url) == []


def test_an_older_version_behind_a_newer_one_is_seen(apdb_url: str) -> None:
    messages = [*objects_of([BIG, BIG, 7], validityStartMjdTai=[STORED, 60000.5, 1.0])]
    assert out_of_order(messages) == [BIG]
    assert not_as_stored(messages, apdb_url) == [7, BIG]


def test_a_version_behind_the_end_of_its_object_is_seen(apdb_url: str) -> None:
    version, end = objects_of([BIG], validityStartMjdTai=[59000.0])[0], ended(BIG)
    assert out_of_order([end, version]) == [BIG]
    assert not_as_stored([version, end], apdb_url) == [BIG]


def test_an_object_of_which_nothing_is_heard_is_seen(apdb_url: str) -> None:
    assert not_as_stored([], apdb_url) == [BIG]
