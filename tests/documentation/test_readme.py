"""The README, typed from top to bottom, on real servers."""

from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.contents import LEDGER, columns
from tests.documentation.session import typed, wait_until

pytestmark = pytest.mark.integration


def test_the_readme(kafka_bootstrap, valkey_url, postgresql_database, tmp_path) -> None:
    name = uuid4().hex
    ours = (
        *("input_topic", "objects_topic", "forced_sources_topic", "metrics_topic", "dead_letter_topic"),
        "group_id",
    )
    variables = {f"STREAM_ASSOC_KAFKA__{part.upper()}": f"{name}.{part}" for part in ours}
    variables["STREAM_ASSOC_REDIS__PREFIX"] = name
    stand_ins = {
        "STREAM_ASSOC_KAFKA__BOOTSTRAP_SERVERS": kafka_bootstrap,
        "STREAM_ASSOC_REDIS__URL": valkey_url,
        "STREAM_ASSOC_APDB__URL": postgresql_database,
    }
    write_detections(tmp_path / "detections.parquet")
    with typed("README.md", tmp_path, variables, stand_ins) as session:
        wait_until(lambda: len(columns(postgresql_database, LEDGER, "visit")) == 3 * 2 + 1)
        session.end()
    assert "all confirmed" in session.output


def write_detections(file: Path) -> None:
    """Write three detections of one ZTF visit."""
    n = 3
    table = {
        "visit": [7] * n,
        "detector": [1] * n,
        "band": ["g"] * n,
        "midpointMjd": [59000.0] * n,
        "candid": list(range(10, 10 + n)),
        "ra": [10.0, 10.01, 10.02],
        "dec": [5.0] * n,
        "xpos": [100.0] * n,
        "ypos": [100.0] * n,
        "isNegative": [False] * n,
        "psfFlux": [1000.0] * n,
        "psfFluxErr": [50.0] * n,
        "chipsf": [1.0] * n,
    }
    pq.write_table(pa.table(table), file)
