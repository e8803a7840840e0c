"""A copy that is killed at every step goes on in another process, and nobody can tell."""

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from stream_assoc.failpoints import COPY_FAILPOINTS, VARIABLE
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from tests.contents import ALL_TABLES, CHECKPOINT, contents
from tests.pipeline.skies import night
from tests.stores.apdb.cassandra.copying.nights import N_COPIED, SETTINGS, copy, live_on
from tests.tools.inspection.skies import inspected

pytestmark = [pytest.mark.integration, pytest.mark.long]

COUNTS = {"after-copied-rows": 3}
"""Elsewhere the first arrival."""


def run(source: str, target: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command, to this failpoint if one is named."""
    command = [sys.executable, "-m", "stream_assoc", "apdb", "copy", source, "--set", f"apdb.url={target}"]
    setting = f"{failpoint}:{COUNTS.get(failpoint, 1)}" if failpoint else ""
    return subprocess.run(
        command, env=os.environ | {VARIABLE: setting}, capture_output=True, text=True, timeout=300, check=False
    )


def test_killed_at_every_step(source: str, target: str) -> None:
    for failpoint in COPY_FAILPOINTS:
        assert run(source, target, failpoint).returncode == -signal.SIGKILL, failpoint
        with pytest.raises(ApdbSchemaError, match="apdb copy"):
            open_apdb(target)
    ended = run(source, target)
    assert (ended.returncode, ended.stdout.count("rows were compared")) == (0, 1), ended.stderr
    assert "compared before" in run(source, target).stdout
    assert contents(target, *ALL_TABLES, CHECKPOINT) == contents(source, *ALL_TABLES, CHECKPOINT)
    assert inspected(target, settings=SETTINGS) == []
    assert live_on(target, night(), N_COPIED, len(night())) == live_on(source, night(), N_COPIED, len(night()))


def test_batches_count_when_all_is_compared(source: str, target: str, connection: Connection) -> None:
    run(source, target, "after-copied-cells")
    assert connection.read('SELECT count(*) FROM "DiaSource"') != [(0,)]
    assert connection.read('SELECT state FROM "StreamAssocGroup"') == [("preparing",)]
    copy(source, target)
    with closing(open_apdb(target)) as apdb:
        assert apdb.contains(night()[0].id)
