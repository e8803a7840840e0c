"""Every explanation of real detections comes to what is stored."""

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stream_assoc.core.association.associator import Associator
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.tools.explanation.explain import explain
from stream_assoc.tools.transform.batches import batches
from stream_assoc.tools.transform.mapping import load_mapping
from tests.pipeline.skies import process_from
from tests.pipeline.test_golden_pipeline import visits
from tests.stores.apdb.reading.stored import services_at

DECAM = {"new_objects": {"bad_flags": [], "min_reliability": 0.0}}


def explanations(url, made, every=1, **sections):
    """Process batches and explain every so many of their sources."""
    init(url)
    services = services_at(url, **sections)
    for offset in range(0, len(made), 50):
        process_from(services, offset, *made[offset : offset + 50])
    services.apdb.close()
    reader, associator = open_reader(url), Associator()
    for batch in made:
        for identifier in reader.sources_of_batch(batch.id)["diaSourceId"].to_pylist()[::every]:
            yield explain(identifier, reader, associator)
    reader.close()


def test_ten_visits_over_420_days(tmp_path: Path) -> None:
    told = list(explanations(f"sqlite:///{tmp_path / 'golden.db'}", visits(), every=7))
    assert [dataclasses.asdict(one) for one in told if one.agrees is False] == []
    assert {one.verdict for one in told} == {"joined", "founded"}
    # A crowded field: some had a choice.
    assert sum(len(one.candidates) > 1 for one in told) > 0


@pytest.mark.real_data
def test_decam(shared_data: Path, tmp_path: Path) -> None:
    table = pq.read_table(shared_data / "decam_hits" / "dia_source.parquet")
    made = list(batches(table, load_mapping("decam"), "arrival"))
    told = list(explanations(f"sqlite:///{tmp_path / 'decam.db'}", made, **DECAM))
    assert len(told) == 627
    assert [dataclasses.asdict(one) for one in told if one.agrees is False] == []
