"""Whatever comes from outside: an answer or one of our errors, in bounded time and memory, and never a crash.

Bytes that break the form, and batches in the right form whose geometry is hostile.

The number of inputs is in the environment: STREAM_ASSOC_TEST_CHAOS_FUZZ
(``make chaos``). Every input has a number, and is made of that number alone.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import noted

pytestmark = pytest.mark.chaos

REPOSITORY = Path(__file__).parents[2]
N_INPUTS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_FUZZ", "1500"))

PEAK_MEGABYTES = 512 + 0.04 * N_INPUTS * TARGETS["foreign_batch"].share // 100
"""What the whole process may take; 270 MB of it are the interpreter and its libraries. pyruhvro keeps each schema
that it has ever read, 27 kB of it, and each input of that target has another."""


def test_no_input_crashes_hangs_or_takes_much_memory(tmp_path: Path) -> None:
    # Where kernels are not compiled yet, compiling them takes more memory than any input.
    survived(tmp_path, 1)
    report = survived(tmp_path, N_INPUTS)
    print(json.dumps(report))
    assert report["peak_megabytes"] < PEAK_MEGABYTES
    outcomes = {name: Counter(report[name]["outcomes"]) for name in TARGETS}
    # Inputs that no parser accepts, or that each does, would prove little.
    assert all(len(found) > 1 for name, found in outcomes.items() if name != "outbox"), outcomes
    assert {"decoded", "undecodable", "too_many_sources"} <= outcomes["batch"].keys()
    assert {"accepted", "invalid_footprint", "too_many_cells"} <= outcomes["geometry"].keys()


def survived(folder: Path, n_inputs: int) -> dict[str, Any]:
    """Return what came of so many inputs, in a process of its own: a crash of native code is seen, its input kept."""
    worker = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.worker", str(folder), str(n_inputs)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert worker.returncode == 0, f"{culprit(folder)}\n{worker.stderr[-3000:]}"
    report: dict[str, Any] = json.loads(worker.stdout)
    return report


def culprit(folder: Path) -> str:
    """Return which input a worker died of."""
    name, data = noted(folder)
    return (
        f"the worker died of {len(data)} bytes for the target {name}, kept in {folder / 'input'}: {data[:200].hex()}"
    )
