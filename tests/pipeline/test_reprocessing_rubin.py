"""Four detectors that Rubin processed twice, days apart: the second processing takes the place of the first."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.pipeline.batches import Processed, Rejected, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.mapping import load_mapping
from tests.contents import columns
from tests.pipeline.skies import apdb_url, pinned_services, position

pytestmark = pytest.mark.real_data

N_AROUND = 15
"""Sources of each object that are kept before, between and after its two processings: all would be thousands."""

TIMES = ("validityStartMjdTai", "validityEndMjdTai")


def rows_around_pairs(table):
    """Return the rows to keep: the pairs, and some of the same objects around them in order of arrival."""
    arrival = table["timeProcessedMjdTai"].to_numpy()
    visit, detector, owner = (table[name].to_numpy() for name in ("visit", "detector", "diaObjectId"))
    order = np.lexsort((arrival, detector, visit))
    same = (np.diff(visit[order]) == 0) & (np.diff(detector[order]) == 0) & (np.diff(arrival[order]) > 0)
    kept = []
    for first, second in zip(order[:-1][same], order[1:][same], strict=True):
        of_object = np.flatnonzero(owner == owner[first])
        of_object = of_object[np.argsort(arrival[of_object], kind="stable")]
        here, there = np.flatnonzero((of_object == first) | (of_object == second))
        kept.append(of_object[max(0, here - N_AROUND) : here + N_AROUND])
        kept.append(of_object[max(0, there - N_AROUND) : there + N_AROUND])
    return np.unique(np.concatenate(kept))


@pytest.fixture(scope="module")
def in_order_of_arrival(shared_data: Path):
    table = pq.read_table(shared_data / "rubin" / "sources.parquet")
    kept = table.take(pa.array(rows_around_pairs(table)))
    made = list(batches(kept, load_mapping("rubin"), "arrival"))
    ids = [one.id for one in made]
    assert len(ids) - len(set(ids)) == 4
    return made


def objects_after(folder, arrivals_of):
    services = pinned_services(folder)
    outcomes = process_batches(arrivals_of(services), services)
    services.apdb.close()
    names = [name for name in apdb_table("DiaObject").names if name not in TIMES]
    rows = columns(apdb_url(folder), "DiaObject", "validityEndMjdTai", *names)
    return outcomes, sorted(tuple(row[1:]) for row in rows if row[0] is None)


def test_the_second_processing_takes_the_place_of_the_first(in_order_of_arrival, tmp_path: Path) -> None:
    def first_come(i):
        return in_order_of_arrival[i].id not in {one.id for one in in_order_of_arrival[:i]}

    def only_the_last(i):
        return in_order_of_arrival[i].id not in {one.id for one in in_order_of_arrival[i + 1 :]}

    every = range(len(in_order_of_arrival))
    outcomes, objects = objects_after(
        tmp_path / "marked",
        lambda services: [
            arrive(in_order_of_arrival[i], services, position(i), reprocessing=not first_come(i)) for i in every
        ],
    )
    _, expected = objects_after(
        tmp_path / "last",
        lambda services: [arrive(in_order_of_arrival[i], services, position(i)) for i in every if only_the_last(i)],
    )
    refused, _ = objects_after(
        tmp_path / "unmarked",
        lambda services: [arrive(in_order_of_arrival[i], services, position(i)) for i in every],
    )
    assert all(isinstance(outcome, Processed) for outcome in outcomes)
    assert [outcome.metrics.numWithdrawnDiaSources for outcome in outcomes if outcome.revision] == [1] * 4
    assert objects == expected
    assert sum(isinstance(outcome, Rejected) for outcome in refused) == 4
    rows = columns(apdb_url(tmp_path / "marked"), "DiaSource", "diaSourceId", "timeWithdrawnMjdTai")
    assert sum(withdrawn is not None for _, withdrawn in rows) == 4
