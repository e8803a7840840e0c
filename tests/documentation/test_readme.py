"""The README, typed from top to bottom, on real servers."""

import functools
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contents import LEDGER, columns
from tests.documentation.session import typed

pytestmark = [pytest.mark.integration, pytest.mark.long]


def test_the_readme(kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path) -> None:
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
    is_settled = functools.partial(has_counted, postgresql_database, 27)
    with typed("README.md", tmp_path, variables, stand_ins, is_settled) as session:
        session.end()
    assert "all confirmed" in session.output
    assert "It joined DIAObject" in session.output
    assert "night-20251120.html: 27 batches" in session.output


def has_counted(apdb_url: str, n_batches: int) -> bool:
    return len(columns(apdb_url, LEDGER, "visit")) == n_batches
