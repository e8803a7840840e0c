"""A batch counts once, in whatever company and however often it comes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stream_assoc.core.model.changes import InputPosition
from stream_assoc.messaging.outbox_format import unpack_outputs
from stream_assoc.pipeline.batches import Processed, Redelivered, Rejected, arrive
from stream_assoc.pipeline.exceptions import ConflictingBatchError
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from tests.contents import ALL_TABLES, Rows, contents
from tests.pipeline.skies import apdb_url, batch, night, pinned_services, position, process_from, processed_from

Two = list[tuple[Services, Path]]


def everything(folder: Path) -> dict[str, Rows]:
    return contents(apdb_url(folder), *ALL_TABLES)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Two sets of services with a pinned clock, and the folders of their databases."""
    folders = (tmp_path / "one", tmp_path / "other")
    services = [pinned_services(folder) for folder in folders]
    yield list(zip(services, folders, strict=True))
    for one in services:
        one.apdb.close()


@pytest.mark.parametrize("size", [2, 5, 16])
def test_a_micro_batch_equals_its_batches_one_by_one(two: Two, size: int) -> None:
    (alone, alone_folder), (together, together_folder) = two
    expected = [processed_from(alone, i, one)[0] for i, one in enumerate(night())]
    got: list[Processed] = []
    for first in range(0, len(night()), size):
        got += processed_from(together, first, *night()[first : first + size])
    assert got == expected
    assert everything(together_folder) == everything(alone_folder)


def test_a_redelivery_changes_nothing_and_repeats_the_very_outputs(two: Two) -> None:
    (services, folder), _ = two
    first = processed_from(services, 0, *night()[:6])
    before = everything(folder)
    again = process_from(services, 0, *night()[:6])
    assert again == [Redelivered(outcome.id, outcome.outputs) for outcome in first]
    assert everything(folder) == before


def test_published_outputs_are_not_repeated(two: Two) -> None:
    (services, _), _ = two
    first = processed_from(services, 0, *night()[:2])
    services.apdb.mark_published([first[0].key])
    again = process_from(services, 0, *night()[:2])
    assert again == [Redelivered(first[0].id, ()), Redelivered(first[1].id, first[1].outputs)]


def test_a_batch_comes_after_those_that_changed_its_sky_and_are_unpublished(two: Two) -> None:
    (services, _), _ = two
    first, second = processed_from(services, 0, *night()[:2])
    (third,) = processed_from(services, 2, night()[2])
    assert (first.predecessors, second.predecessors) == ((), (first.key,))
    # The last of a transaction stands for all of it.
    assert third.predecessors == (second.key,)
    (again,) = process_from(services, 2, night()[2])
    assert isinstance(again, Redelivered)
    assert again.predecessors == third.predecessors
    services.apdb.mark_published([first.key, second.key, third.key])
    (fourth,) = processed_from(services, 4, night()[4])
    assert fourth.predecessors == ()


@pytest.mark.parametrize("where", [position(7), position(0, partition=1), None])
def test_a_copy_elsewhere_publishes_nothing(two: Two, where: InputPosition | None) -> None:
    (services, folder), _ = two
    process_from(services, 0, night()[0])
    before = everything(folder)
    copy = process_batches([arrive(night()[0], services, where)], services)
    assert copy == [Redelivered(night()[0].id, ())]
    assert everything(folder) == before


def test_a_copy_within_a_micro_batch_publishes_nothing(two: Two) -> None:
    (services, folder), (reference, reference_folder) = two
    first, copy, other = process_from(services, 0, night()[0], night()[0], night()[1])
    assert isinstance(first, Processed)
    assert isinstance(other, Processed)
    assert copy == Redelivered(night()[0].id, ())
    process_from(reference, 0, night()[0])
    process_from(reference, 2, night()[1])
    assert everything(folder) == everything(reference_folder)


@pytest.mark.parametrize("together", [True, False])
def test_other_content_under_the_same_visit_and_detector_is_rejected(two: Two, together: bool) -> None:
    (services, folder), (reference, reference_folder) = two
    conflicting = replace(night()[2], id=night()[0].id)
    outcomes = (
        process_from(services, 0, night()[0], conflicting)
        if together
        else process_from(services, 0, night()[0]) + process_from(services, 1, conflicting)
    )
    assert isinstance(outcomes[1], Rejected)
    assert isinstance(outcomes[1].error, ConflictingBatchError)
    assert outcomes[1].error.reason == "conflicting_batch"
    process_from(reference, 0, night()[0])
    assert everything(folder) == everything(reference_folder)


def test_the_outbox_holds_the_outputs_of_each_batch_until_they_are_published(two: Two) -> None:
    (services, _), _ = two
    outcomes = processed_from(services, 0, *night()[:3])
    kept = services.apdb.unpublished()
    assert [entry.entry.id for entry in kept] == [outcome.id for outcome in outcomes]
    assert [unpack_outputs(entry.outputs) for entry in kept] == [list(outcome.outputs) for outcome in outcomes]
    services.apdb.mark_published([outcome.key for outcome in outcomes])
    assert services.apdb.unpublished() == []


def test_processing_times_of_an_object_strictly_increase_though_the_clock_stands_still(two: Two) -> None:
    (services, folder), _ = two
    visits = [batch(visit, [150.0], [2.0]) for visit in range(1, 6)]
    outcomes = processed_from(services, 0, *visits[:3]) + processed_from(services, 3, *visits[3:])
    times = [outcome.metrics.timeProcessedMjdTai for outcome in outcomes]
    assert times == sorted(set(times))
    versions = contents(apdb_url(folder), "DiaObject")["DiaObject"]
    assert len(versions) == 5
