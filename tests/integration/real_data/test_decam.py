"""Two real DECam visits: the objects upstream made of them."""

import psycopg
import pyarrow.parquet as pq
import pytest

from stream_assoc.transform.batches import batches
from stream_assoc.transform.mapping import load_mapping

pytestmark = [pytest.mark.integration, pytest.mark.real_data]


def test_every_source_gets_the_object_upstream_gave_it(deployed, shared_data):
    table = pq.read_table(shared_data / "decam_hits" / "dia_source.parquet")
    expected = dict(zip(table["diaSourceId"].to_pylist(), table["diaObjectId"].to_pylist(), strict=True))
    deployment = deployed(new_objects={"bad_flags": [], "min_reliability": 0.0})
    deployment.send(list(batches(table, load_mapping("decam"), "arrival")))
    deployment.process_everything()
    with psycopg.connect(deployment.settings.apdb.url.get_secret_value()) as connection:
        ours = dict(connection.execute('SELECT "diaSourceId", "diaObjectId" FROM "DiaSource"').fetchall())
    assert len(ours) == 627
    assert ours == expected
    assert sum(metrics.numDiaSources for metrics in deployment.metrics()) == 627
    assert deployment.dead_letters() == []
