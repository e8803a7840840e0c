"""All public Rubin detections: nothing is lost, and the objects are nearly Rubin's own."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stream_assoc.tools.simulation.truth import score
from tests.integration.deployment import Deployment
from tests.integration.real_data.replaying import IN_ORDER, column, replay

# The longest test there is: 27,000 transactions' worth of batches, on whatever machine.
pytestmark = [pytest.mark.integration, pytest.mark.real_data, pytest.mark.long, pytest.mark.timeout(3600)]


def test_rubin_through_real_servers(deployed: Callable[..., Deployment], shared_data: Path) -> None:
    path = shared_data / "rubin" / "sources.parquet"
    replayed = replay(deployed(**IN_ORDER), path, "--mapping", "rubin", "--order", "arrival")
    table = pq.read_table(path, columns=["diaSourceId", "diaObjectId"])
    assert table.num_rows == 29_373
    # The file holds ssObjectId as floats, which have lost digits of the 46 ids there are: these rows are left out.
    replayed.assert_nothing_lost(table.num_rows - 46)
    # Four detectors were processed twice, days apart: one (visit, detector), two sets of sources.
    assert replayed.n_messages == 26_939 + 4
    assert replayed.dead_letter_reasons == {"conflicting_batch"}
    assert (len(replayed.dead_letters), replayed.n_dead) == (4, 4)
    assert replayed.n_dropped == 0
    of_objects = table.filter(pc.field("diaObjectId") != 0)
    result = score(
        replayed.diaSourceId,
        replayed.diaObjectId,
        column(of_objects, "diaSourceId"),
        column(of_objects, "diaObjectId"),
    )
    # Why not 1: docs/real-data.md.
    assert result.purity == 1.0
    assert result.completeness > 0.99
    assert result.n_lost_sources <= replayed.n_marginal + replayed.n_dead
