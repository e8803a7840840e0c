"""Real detections give the same rows, objects and published bytes on Cassandra as on SQLite."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.pipeline.batches import Outcome, Processed, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.mapping import load_mapping
from tests.cassandra.prepared import PreparedApdb
from tests.contents import ALL_TABLES, CHUNK_TABLES, contents
from tests.pipeline.bench import services_on
from tests.pipeline.skies import PINNED, position
from tests.pipeline.test_reprocessing_rubin import rows_around_pairs

pytestmark = [pytest.mark.integration, pytest.mark.real_data]

MICRO_BATCH = 16


def rubin(folder: Path) -> Sequence[Batch]:
    """Four detectors that were processed twice, and what came around them."""
    table = pq.read_table(folder / "rubin" / "sources.parquet")
    return list(batches(table.take(pa.array(rows_around_pairs(table))), load_mapping("rubin"), "arrival"))


def decam(folder: Path) -> Sequence[Batch]:
    """Two visits."""
    return list(
        batches(pq.read_table(folder / "decam_hits" / "dia_source.parquet"), load_mapping("decam"), "arrival")
    )


def ztf(folder: Path) -> Sequence[Batch]:
    """The first of eight years."""
    return list(batches(pq.read_table(folder / "ztf" / "detections.parquet")[:100], load_mapping("ztf")))


@pytest.mark.parametrize("survey", [rubin, decam, ztf])
def test_cassandra_has_what_sqlite_has(
    survey: Callable[[Path], Sequence[Batch]], shared_data: Path, sqlite_apdb_url: str, prepared_apdb: PreparedApdb
) -> None:
    detections, cassandra_url = survey(shared_data), prepared_apdb.emptied()
    expected = list(outcomes_on(sqlite_apdb_url, detections))
    assert list(outcomes_on(cassandra_url, detections)) == expected
    assert all(isinstance(outcome, Processed) for outcome in expected)
    stored = contents(sqlite_apdb_url, *ALL_TABLES)
    assert contents(cassandra_url, *ALL_TABLES) == stored
    assert all(stored[name] for name in ("DiaObject", "DiaObjectLast", "DiaSource", *CHUNK_TABLES[:2]))


def outcomes_on(url: str, detections: Sequence[Batch]) -> Iterator[Outcome]:
    """Process micro-batches, one after another; what was processed again takes the place of what it was."""
    services = services_on(url, **PINNED)
    seen = set()
    with closing(services.apdb):
        for begin in range(0, len(detections), MICRO_BATCH):
            arrivals = []
            for number, one in enumerate(detections[begin : begin + MICRO_BATCH], begin):
                arrivals.append(arrive(one, services, position(number), reprocessing=one.id in seen))
                seen.add(one.id)
            yield from process_batches(arrivals, services)
