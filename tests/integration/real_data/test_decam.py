"""Two real DECam visits: the objects upstream made of them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.integration.deployment import Deployment
from tests.integration.real_data.replaying import IN_ORDER, column, replay

pytestmark = [pytest.mark.integration, pytest.mark.real_data]


def test_every_source_gets_the_object_upstream_gave_it(
    deployed: Callable[..., Deployment], shared_data: Path
) -> None:
    path = shared_data / "decam_hits" / "dia_source.parquet"
    table = pq.read_table(path)
    expected = dict(zip(column(table, "diaSourceId").tolist(), column(table, "diaObjectId").tolist(), strict=True))
    deployment = deployed(**IN_ORDER, new_objects={"bad_flags": [], "min_reliability": 0.0})
    replayed = replay(deployment, path, "--mapping", "decam", "--order", "arrival")
    assert len(expected) == 627
    replayed.assert_nothing_lost(627)
    assert replayed.dead_letters == []
    assert dict(zip(replayed.diaSourceId.tolist(), replayed.diaObjectId.tolist(), strict=True)) == expected
    assert sum(metrics.numDiaSources for metrics in replayed.metrics) == 627
