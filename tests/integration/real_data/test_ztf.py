"""Eight years of ZTF detections: nothing is lost, and the objects are nearly the survey's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from stream_assoc.tools.simulation.truth import score
from tests.integration.deployment import Deployment
from tests.integration.real_data.replaying import IN_ORDER, column, replay

pytestmark = [pytest.mark.integration, pytest.mark.real_data, pytest.mark.long]


def test_ztf_through_real_servers(deployed: Callable[..., Deployment], shared_data: Path) -> None:
    path = shared_data / "ztf" / "detections.parquet"
    replayed = replay(deployed(**IN_ORDER), path, "--mapping", "ztf")
    table = pq.read_table(path, columns=["candid", "objectId"])
    assert table.num_rows == 9_362
    replayed.assert_nothing_lost(table.num_rows)
    assert replayed.dead_letters == []
    assert len(replayed.diaSourceId) == table.num_rows
    result = score(
        replayed.diaSourceId, replayed.diaObjectId, column(table, "candid"), np.array(table["objectId"].to_pylist())
    )
    # Why not 1: docs/real-data.md.
    assert result.purity > 0.999
    assert result.completeness > 0.94
    assert result.n_lost_sources == 0
