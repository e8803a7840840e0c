"""A visit that comes two to five times, in any order and among others, counts as if it had come once."""

import functools
from pathlib import Path

import numpy as np
import pytest

from stream_assoc.core.model.batch import Batch, BatchRevision
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.pipeline.batches import Processed, Redelivered, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from tests.chaos.outcome import sky_in
from tests.contents import ALL_TABLES, contents
from tests.pipeline.focal_plane import FocalPlane, visits
from tests.pipeline.skies import apdb_url, pinned_services, position

Delivery = tuple[int, Batch]
"""An offset, and what is there."""


@functools.cache
def three_visits() -> list[Batch]:
    camera = FocalPlane(columns=(20.0,), rows=(3.0,), sites=3)
    return [one for visit in visits(camera, 3) for one in visit]


def with_copies(seed: int) -> list[Delivery]:
    """Return each batch two to five times, in random order."""
    random = np.random.default_rng(seed)
    copies = [one for one in three_visits() for _ in range(random.integers(2, 6))]
    return [(offset, copies[place]) for offset, place in enumerate(random.permutation(len(copies)))]


def without_copies(deliveries: list[Delivery]) -> list[Delivery]:
    first: dict[tuple[int, int], Delivery] = {}
    for offset, one in deliveries:
        first.setdefault(one.id, (offset, one))
    return list(first.values())


def take(services: Services, deliveries: list[Delivery], micro_batch: int) -> list[OutputMessage]:
    """Process micro-batches of so many deliveries as a daemon does; return what it publishes."""
    published: list[OutputMessage] = []
    for begin in range(0, len(deliveries), micro_batch):
        arrivals = [
            arrive(one, services, position(offset)) for offset, one in deliveries[begin : begin + micro_batch]
        ]
        for outcome in process_batches(arrivals, services):
            assert isinstance(outcome, Processed | Redelivered)
            published += outcome.outputs
        services.apdb.mark_published([BatchRevision(*arrival.batch.id, 0) for arrival in arrivals])
    return published


@pytest.mark.parametrize("micro_batch", [1, 4, 16])
@pytest.mark.parametrize("seed", range(3))
def test_copies_in_any_order_change_nothing(tmp_path: Path, seed: int, micro_batch: int) -> None:
    deliveries = with_copies(seed)
    once = without_copies(deliveries)
    assert len(deliveries) >= 2 * len(once) == 2 * len(three_visits())
    results = []
    for name, given in (("copies", deliveries), ("once", once)):
        services = pinned_services(tmp_path / name)
        published = take(services, given, micro_batch)
        results.append((published, contents(apdb_url(tmp_path / name), *ALL_TABLES), sky_in(services)))
        services.apdb.close()
    assert results[0] == results[1]
