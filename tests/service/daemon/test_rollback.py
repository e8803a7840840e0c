"""An APDB that lacks what subscribers have is noticed, and no other one."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream_assoc.core.model.batch import BatchId, BatchRevision
from stream_assoc.messaging.marks import Mark, Partition, Standing
from stream_assoc.service.daemon.rollback import RollbackCheck
from stream_assoc.service.exceptions import RolledBackError
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import changes, new_objects, store

HERE, THERE = ("dia-sources", 0), ("dia-sources", 1)
FIRST, SECOND = BatchId(7, 1), BatchId(8, 2)


@dataclass
class Group:
    """What a group has committed of partitions."""

    notes: dict[Partition, str]

    def standings(self, partitions: Collection[Partition]) -> dict[Partition, Standing]:
        return {one: Standing(12, self.notes[one]) for one in partitions if one in self.notes}


def note(*names: BatchRevision, identity: str = "ours") -> str:
    return f"topic_id=1 name {Mark(identity, names).write()}"


def revision(batch: BatchId, number: int = 0) -> BatchRevision:
    return BatchRevision(*batch, number)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where there is an APDB with two batches, the second of which was processed twice."""
    url = f"sqlite:///{Path(tmp_path_factory.mktemp('rollback'), 'apdb.sqlite3')}"
    init(url)
    with closing(open_apdb(url)) as apdb:
        store(apdb, new_objects(FIRST, [7], 60000.6))
        store(apdb, new_objects(SECOND, [8], 60000.7))
        store(apdb, changes(SECOND, time=60000.8, revision=1))
    return url


@pytest.fixture
def group(url: str) -> Iterator[tuple[Group, RollbackCheck]]:
    group = Group({})
    with closing(open_apdb(url)) as apdb:
        yield group, RollbackCheck(group.standings, apdb, "ours")


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {HERE: "moved by hand", THERE: ""},
        {HERE: note()},
        {HERE: note(revision(FIRST), revision(SECOND)), THERE: note(revision(SECOND, 1))},
        {HERE: note(revision(BatchId(99, 9)), identity="another")},
    ],
    ids=["nothing committed", "no marks", "nothing published", "all is there", "of another APDB"],
)
def test_an_apdb_that_has_all_is_worked_on(group: tuple[Group, RollbackCheck], notes: dict[Partition, str]) -> None:
    group[0].notes = notes
    group[1].check([HERE, THERE])


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ([revision(BatchId(9, 3))], r"lacks visit 9, detector 3, revision 0, .* \(dia-sources\[1\] at offset 12\)"),
        ([revision(FIRST, 1)], r"lacks visit 7, detector 1, revision 1, "),
        ([revision(FIRST), revision(BatchId(9, 3)), revision(BatchId(9, 4))], "visit 9, detector 3, .* and 1 more,"),
    ],
)
def test_what_it_lacks_is_said(group: tuple[Group, RollbackCheck], lost: Sequence[BatchRevision], said: str) -> None:
    group[0].notes = {HERE: note(revision(FIRST)), THERE: note(*lost)}
    with pytest.raises(RolledBackError, match=said) as caught:
        group[1].check([HERE, THERE])
    assert "apdb init --repartition" in str(caught.value)


def test_partitions_of_others_are_not_asked_for(group: tuple[Group, RollbackCheck]) -> None:
    group[0].notes = {THERE: note(revision(BatchId(9, 3)))}
    group[1].check([HERE])
