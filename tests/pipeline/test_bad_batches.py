"""A batch or a source that is no good harms no other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from stream_assoc.core.association.new_objects import TooManyNewObjectsError
from stream_assoc.core.exceptions import InvalidFootprintError
from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.objects import ObjectPositions, TiledObjects
from stream_assoc.core.model.states import ObjectStates
from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import PoisonError
from stream_assoc.pipeline import neighbourhood
from stream_assoc.pipeline.batches import Processed, Rejected, arrive
from stream_assoc.pipeline.exceptions import DuplicateSourceError, RowsRefusedError
from stream_assoc.pipeline.neighbourhood import Neighbourhood
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from tests.contents import ALL_TABLES, LEDGER, Rows, column, contents
from tests.pipeline.skies import apdb_url, batch, pinned_services, process_from, processed_from, square

LIMIT = 5
GOOD = [batch(1, [150.0, 150.01], [2.0, 2.0]), batch(2, [150.0, 150.02], [2.0, 2.0])]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = pinned_services(tmp_path / "tested", new_objects={"max_new_dia_objects": LIMIT})
    yield made
    made.apdb.close()


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, Rows]:
    """Everything that the good batches alone leave in the APDB."""
    made = pinned_services(tmp_path / "expected")
    process_from(made, 0, GOOD[0])
    process_from(made, 2, GOOD[1])
    made.apdb.close()
    return contents(apdb_url(tmp_path / "expected"), *ALL_TABLES)


def too_many() -> Batch:
    return batch(9, [150.0 + i / 100 for i in range(LIMIT + 2)], [2.005] * (LIMIT + 2))


def stored_before() -> Batch:
    return batch(9, [150.0, 150.03], [2.0, 2.0], ids=[int(GOOD[0].diaSourceId[1]), 77])


@pytest.mark.parametrize(
    ("bad", "error"), [(too_many, TooManyNewObjectsError), (stored_before, DuplicateSourceError)]
)
def test_a_rejected_batch_leaves_no_trace_in_its_company(
    services: Services,
    tmp_path: Path,
    expected: dict[str, Rows],
    bad: Callable[[], Batch],
    error: type[PoisonError],
) -> None:
    outcomes = process_from(services, 0, GOOD[0], bad(), GOOD[1])
    assert [type(outcome) for outcome in outcomes] == [Processed, Rejected, Processed]
    assert isinstance(outcomes[1], Rejected)
    assert isinstance(outcomes[1].error, error)
    assert contents(apdb_url(tmp_path / "tested"), *ALL_TABLES) == expected


def test_a_batch_without_the_limit_creates_as_many_objects_as_it_shows(services: Services, tmp_path: Path) -> None:
    released, held_back = (arrive(too_many(), services, unlimited=unlimited) for unlimited in (True, False))
    assert [type(outcome) for outcome in process_batches([held_back, released], services)] == [
        Rejected,
        Processed,
    ]
    assert len(column(apdb_url(tmp_path / "tested"), "DiaObject", "diaObjectId")) == LIMIT + 2


def test_rows_that_the_database_refuses_reject_their_batch_only(
    services: Services, tmp_path: Path, expected: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = batch(9, [150.04], [2.0])
    exclusive = services.apdb.exclusive

    class Session:
        """The real one, but for a batch whose rows it refuses."""

        def __init__(self, real: ApdbSession) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def commit(self, changes: Sequence[BatchChanges]) -> Any:
            if any(change.entry.id == refused.id for change in changes):
                raise RowsRefusedError("a value is too long")
            return self._real.commit(changes)

    class Exclusive:
        def __init__(self, cells: IntArray) -> None:
            self._context: AbstractContextManager[ApdbSession] = exclusive(cells)

        def __enter__(self) -> Session:
            return Session(self._context.__enter__())

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> bool | None:
            return self._context.__exit__(kind, error, trace)

    monkeypatch.setattr(services.apdb, "exclusive", Exclusive)
    outcomes = process_from(services, 0, GOOD[0], refused, GOOD[1])
    assert [type(outcome) for outcome in outcomes] == [Processed, Rejected, Processed]
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].error.reason == "refused_by_apdb"
    assert contents(apdb_url(tmp_path / "tested"), *ALL_TABLES) == expected


@pytest.mark.parametrize(
    "footprint",
    [
        np.empty((0, 2)),
        [[150.0, 2.0], [150.1, 2.0]],
        [[150.0, 2.0], [150.1, 2.0], [150.2, np.nan]],
        [[150.0, 2.0], [150.1, 2.0], [150.2, 91.0]],
        [[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]],
        [[0.0, 0.0], [120.0, 0.0], [240.0, 0.0], [0.0, 90.0]],
        square(150.0, 2.0, half_width_deg=20.0),
    ],
)
def test_a_footprint_that_is_none_is_refused_on_arrival(services: Services, footprint: ArrayLike) -> None:
    with pytest.raises(InvalidFootprintError) as caught:
        arrive(batch(1, [150.0], [2.0], footprint=np.asarray(footprint)), services)
    assert isinstance(caught.value, PoisonError)


def test_sources_without_a_usable_position_are_dropped_and_counted(services: Services, tmp_path: Path) -> None:
    ra = [150.0, np.nan, 150.01, np.inf, -np.inf, 150.02, 150.03, 150.04, 150.05, 150.06]
    dec = [2.0, 2.0, np.nan, 2.0, 2.0, np.inf, 90.001, -91.0, 2.0, 2.0]
    x = [5.0] * 8 + [np.nan, 5.0]
    y = [5.0] * 9 + [np.nan]
    (outcome,) = processed_from(services, 0, batch(1, ra, dec, x=x, y=y))
    assert outcome.metrics.numDiaSources == 10
    assert outcome.metrics.numDroppedDiaSources == 9
    assert outcome.metrics.numNewDiaObjects == 1
    assert column(apdb_url(tmp_path / "tested"), "DiaSource", "ra") == [150.0]


def test_a_batch_without_a_usable_source_counts(services: Services, tmp_path: Path) -> None:
    (outcome,) = processed_from(services, 0, batch(1, [np.nan], [2.0], footprint=square(150.0, 2.0)))
    assert outcome.metrics.numDroppedDiaSources == 1
    assert column(apdb_url(tmp_path / "tested"), LEDGER, "n_stored") == [0]


def test_an_empty_batch_counts(services: Services, tmp_path: Path) -> None:
    process_from(services, 0, GOOD[0])
    (outcome,) = processed_from(services, 1, batch(2, [], [], footprint=square(150.0, 2.0)))
    assert outcome.metrics.numDiaSources == 0
    assert outcome.metrics.numUnassociatedDiaObjects == 2
    assert outcome.metrics.fracUpdatedDiaObjects == 0.0
    assert len(outcome.outputs) == 1, "the metrics"
    assert sorted(column(apdb_url(tmp_path / "tested"), LEDGER, "visit")) == [1, 2]


def test_bad_fluxes_and_errors_of_a_source_do_not_spoil_its_neighbours(services: Services, tmp_path: Path) -> None:
    ra, dec = [150.0, 150.01, 150.02, 150.03], [2.0] * 4
    process_from(services, 0, batch(1, ra, dec))
    bad: dict[str, Any] = {
        "psfFlux": [np.nan, np.inf, 1.0, 1000.0],
        "psfFluxErr": [1.0, 1.0, 0.0, 10.0],
        "raErr": [np.nan, 0, -1, 1e-5],
    }
    (outcome,) = processed_from(services, 1, batch(2, ra, dec, **bad))
    assert outcome.metrics.numUpdatedDiaObjects == 4
    assert np.isfinite(column(apdb_url(tmp_path / "tested"), "DiaObjectLast", "ra")).all()


def test_a_refusal_while_the_sky_is_changed_undoes_the_session(
    services: Services, tmp_path: Path, expected: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    process_from(services, 0, GOOD[0])
    spoiling = batch(9, [150.0], [2.0], psfFlux=[-77.0])
    events: list[str] = []

    class Spoilt(Neighbourhood):
        """Refuses to put the objects of one batch in their places."""

        def replace(
            self, around: TiledObjects, matched: ObjectPositions, matched_tiles: IntArray, states: ObjectStates
        ) -> IntArray:
            events.append("change")
            if len(matched) == 1 and len(states) == 1:
                events.append("refuse")
                raise RowsRefusedError("a position that is none")
            return super().replace(around, matched, matched_tiles, states)

    monkeypatch.setattr(neighbourhood, "Neighbourhood", Spoilt)
    store = services.apdb.exclusive

    def noted(cells: IntArray) -> AbstractContextManager[ApdbSession]:
        events.append("session")
        return store(cells)

    monkeypatch.setattr(services.apdb, "exclusive", noted)
    outcomes = process_from(services, 1, spoiling, GOOD[1])
    assert [type(outcome) for outcome in outcomes] == [Rejected, Processed]
    assert events == ["session", "change", "refuse", "session", "change", "refuse", "session", "change"]
    assert contents(apdb_url(tmp_path / "tested"), *ALL_TABLES) == expected
