"""Work that takes long: what is held meanwhile, and that it can be told from work that does not end."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stream_assoc.core.exceptions import TooManyCandidatesError
from stream_assoc.core.model.types import IntArray
from stream_assoc.pipeline import process as module
from stream_assoc.pipeline.batches import Outcome, Processed, Rejected, arrive
from stream_assoc.pipeline.clock import PinnedClock
from stream_assoc.pipeline.ports.sessions import ApdbSession
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from tests.contents import contents
from tests.pipeline.skies import apdb_url, night, pinned_services, process_from


class SlowClock(PinnedClock):
    """Every look at it, some seconds have passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(62_000.0)
        self._step, self._seconds = seconds, 0.0

    def stopwatch_time(self) -> float:
        self._seconds += self._step
        return self._seconds


class CountedSessions:
    """Notes each session that is begun."""

    def __init__(self, services: Services) -> None:
        self.n_begun = 0
        self._apdb = services.apdb

    def __getattr__(self, name: str) -> object:
        return getattr(self._apdb, name)

    @contextlib.contextmanager
    def exclusive(self, cells: IntArray) -> Iterator[ApdbSession]:
        self.n_begun += 1
        with self._apdb.exclusive(cells) as session:
            yield session


def processed_by(folder: Path, clock: PinnedClock) -> tuple[int, list[Outcome], object]:
    services = pinned_services(folder)
    counted = CountedSessions(services)
    outcomes = process_from(replace(services, apdb=counted, clock=clock), 0, *night())  # type: ignore[arg-type]
    services.apdb.close()
    return counted.n_begun, outcomes, contents(apdb_url(folder), "DiaSource", "DiaObject", "DiaObjectLast")


def test_a_session_is_not_held_longer_than_needed_and_every_batch_counts_as_ever(tmp_path: Path) -> None:
    together, outcomes, expected = processed_by(tmp_path / "together", PinnedClock(62_000.0))
    apart, split, found = processed_by(tmp_path / "apart", SlowClock(module.SESSION_SECONDS))
    assert together == 1
    assert apart == len(night())
    assert [type(outcome) for outcome in split] == [type(outcome) for outcome in outcomes] == [Processed] * apart
    assert found == expected


def test_progress_is_told_for_each_batch(tmp_path: Path) -> None:
    told: list[None] = []
    services = replace(pinned_services(tmp_path), on_progress=lambda: told.append(None))
    arrivals = [arrive(batch, services) for batch in night()]
    assert len(told) == len(arrivals)
    process_batches(arrivals, services)
    assert len(told) >= 2 * len(arrivals)


def test_a_batch_with_too_many_pairs_is_rejected_and_touches_no_other(tmp_path: Path) -> None:
    services = pinned_services(tmp_path, association={"max_candidate_pairs": 10})
    first, second = [one for one in night() if one.id.detector == night()[0].id.detector][:2]
    outcomes = process_from(services, 0, first, second)
    assert [type(outcome) for outcome in outcomes] == [Processed, Rejected]
    assert isinstance(outcomes[1], Rejected)
    assert isinstance(outcomes[1].error, TooManyCandidatesError)
