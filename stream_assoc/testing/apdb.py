"""The conformance suite of a backend of the APDB."""

import threading

import pytest

from stream_assoc.core.model.batch import BatchRevision
from stream_assoc.pipeline.exceptions import (
    ApdbUnavailableError,
)
from stream_assoc.stores.apdb.backend import ApdbUrl, OpenApdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.testing.checkpoints import CheckpointTests
from stream_assoc.testing.commits import CommitTests
from stream_assoc.testing.dax import DaxTests
from stream_assoc.testing.inspection import InspectionTests
from stream_assoc.testing.ledger import LedgerTests
from stream_assoc.testing.reading import ReadingTests
from stream_assoc.testing.replication import ReplicationTests
from stream_assoc.testing.reprocessing import ReprocessingTests
from stream_assoc.testing.rows import CELLS, FIRST, changes
from stream_assoc.testing.unlocked_reading import UnlockedReadingTests


class ApdbConformance(
    LedgerTests,
    ReadingTests,
    UnlockedReadingTests,
    CommitTests,
    ReprocessingTests,
    CheckpointTests,
    ReplicationTests,
    DaxTests,
    InspectionTests,
):
    """Everything that a backend promises. A subclass overrides the fixture ``place``."""

    def test_same_cell_is_exclusive(self, apdb: OpenApdb) -> None:
        inside = threading.Event()
        with apdb.exclusive(CELLS):
            waiting = threading.Thread(target=self.enter, args=(apdb, CELLS, inside))
            waiting.start()
            assert not inside.wait(0.3)
        assert inside.wait(20)
        waiting.join()

    def test_cells_are_free_after_an_error(self, apdb: OpenApdb) -> None:
        with pytest.raises(LookupError), apdb.exclusive(CELLS):
            raise LookupError
        inside = threading.Event()
        waiting = threading.Thread(target=self.enter, args=(apdb, CELLS, inside))
        waiting.start()
        assert inside.wait(20)
        waiting.join()

    def test_waiting_has_an_end(self, apdb: OpenApdb, place: ApdbUrl) -> None:
        other = self.open(place, Patience(lock_seconds=0.05))
        with apdb.exclusive(CELLS), pytest.raises(ApdbUnavailableError), other.exclusive(CELLS):
            pass
        with other.exclusive(CELLS):
            other.close()

    def test_reading_while_others_are_inside(self, apdb: OpenApdb) -> None:
        with apdb.exclusive(CELLS) as session:
            session.commit([changes(FIRST)])
            assert apdb.contains(FIRST)
            apdb.mark_published([BatchRevision(*FIRST, 0)])
        assert apdb.unpublished() == []
