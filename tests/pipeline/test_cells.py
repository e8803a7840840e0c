"""How many cells of the sky may be held: bounded for a batch before any is held, and for a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline.batches import Outcome, Processed, Rejected, arrive
from stream_assoc.pipeline.exceptions import LocksExhaustedError, TooManyCellsError
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from tests.contents import ALL_TABLES, contents
from tests.pipeline.skies import PINNED, apdb_url, batch, pinned_services, position, square

MAX_BATCH, MAX_SESSION = 40, 60


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = pinned_services(
        tmp_path / "tested",
        batch={"max_cells": MAX_BATCH},
        daemon={**PINNED["daemon"], "micro_batch_cells": MAX_SESSION},
    )
    yield made
    made.apdb.close()


def scattered(visit: int, n: int) -> Batch:
    """Return a batch whose sources lie all over the sky, far out of its footprint, each in a cell of its own."""
    ra, dec = (visit * 7.0 + np.arange(n) * 360.0 / n) % 360.0, np.linspace(-80.0, 80.0, n)
    return batch(visit, ra.tolist(), dec.tolist(), footprint=square(150.0, 2.0))


class Watched:
    """Notes how many cells each session holds; one with more than there is room for fails."""

    def __init__(
        self, services: Services, monkeypatch: pytest.MonkeyPatch, room: int = 10**6, fair_share: int = 8
    ) -> None:
        self.sessions: list[int] = []
        exclusive = services.apdb.exclusive

        @contextmanager
        def watched(cells: IntArray) -> Iterator[ApdbSession]:
            self.sessions.append(len(cells))
            if len(cells) > room:
                raise LocksExhaustedError(f"room for {room}: raise max_locks_per_transaction", len(cells), fair_share)
            with exclusive(cells) as session:
                yield session

        monkeypatch.setattr(services.apdb, "exclusive", watched)


@pytest.mark.parametrize(
    "sprawling",
    [
        scattered(1, 3 * MAX_BATCH),
        batch(1, [150.0], [2.0], footprint=square(150.0, 2.0, half_width_deg=5.0)),
        batch(1, [150.0], [2.0], footprint=square(10.0, 89.9, half_width_deg=5.0)),
    ],
)
def test_a_batch_of_too_many_cells_is_refused_before_any_is_held(services: Services, sprawling: Batch) -> None:
    with pytest.raises(TooManyCellsError, match=rf"lie in \d+ cells of the sky, batch.max_cells allows {MAX_BATCH}"):
        arrive(sprawling, services)
    assert TooManyCellsError.reason == "too_many_cells"


def test_the_bound_counts_every_cell(services: Services) -> None:
    arrival = arrive(scattered(1, MAX_BATCH - 8), services)
    assert MAX_BATCH - 8 <= len(arrival.region.cells) <= MAX_BATCH
    assert set(services.partition.cells(arrival.region.tiles).tolist()) == set(arrival.region.cells.tolist())


def results(services: Services, *batches: Batch) -> list[Outcome]:
    return process_batches([arrive(one, services, position(place)) for place, one in enumerate(batches)], services)


def test_a_micro_batch_that_needs_too_many_cells_is_divided_and_comes_to_the_same(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [scattered(visit, MAX_BATCH - 8) for visit in (1, 2, 3)] + [batch(4, [150.0], [2.0])]
    watched = Watched(services, monkeypatch)
    assert [type(outcome) for outcome in results(services, *batches)] == [Processed] * 4
    assert len(watched.sessions) == 3
    assert max(watched.sessions) <= MAX_SESSION
    whole = pinned_services(tmp_path / "whole")
    undivided = Watched(whole, monkeypatch)
    results(whole, *batches)
    assert len(undivided.sessions) == 1
    whole.apdb.close()
    assert contents(apdb_url(tmp_path / "tested"), *ALL_TABLES) == contents(apdb_url(tmp_path / "whole"), *ALL_TABLES)


def test_a_micro_batch_for_which_there_is_no_room_is_divided(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(services, monkeypatch, room=20)
    fitting = [scattered(visit, 10) for visit in (1, 2, 3)]
    outcomes = results(services, fitting[0], scattered(9, 24), *fitting[1:])
    assert [type(outcome) for outcome in outcomes] == [Processed, Rejected, Processed, Processed]
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].error.reason == "too_many_cells"
    assert "max_locks_per_transaction" in str(outcomes[1].error)
    assert watched.sessions.count(max(watched.sessions)) == 1, "nothing is asked for again unchanged"


def test_a_batch_that_asks_for_its_share_waits_for_room(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    Watched(services, monkeypatch, room=0)
    with pytest.raises(LocksExhaustedError):
        results(services, batch(1, [150.0], [2.0]))


def test_a_reprocessing_of_too_many_cells_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(results(services, scattered(1, MAX_BATCH - 8))[0], Processed)
    Watched(services, monkeypatch)
    elsewhere = scattered(1, MAX_BATCH - 9)
    (outcome,) = process_batches([arrive(elsewhere, services, position(1), reprocessing=True)], services)
    assert isinstance(outcome, Rejected)
    assert outcome.error.reason == "too_many_cells"
