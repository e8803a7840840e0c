"""The daemon as a process: how soon it works, and how much memory it takes."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.deployed import SECTIONS, Listener, Sender, detector_batches, first_visits, repeated_visit, serving
from benchmarks.side_by_side import Figure
from benchmarks.skies import Size
from tests.integration.deployment import deploy

Record = Callable[[Figure], None]

GIB = float(2**30)
STARTS = 3
DETECTOR_VISITS = 5
WHOLE_VISITS = int(os.environ.get("STREAM_ASSOC_BENCH_VISITS", "30"))
"""Visits of 10,000 sources, of which the second half tells whether memory grows; 1,000 take a quarter of an hour."""


def test_start_and_memory(kafka_bootstrap, valkey_url, postgresql_database, tmp_path: Path, record: Record) -> None:
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    sender = Sender(deployment)
    size = Size(10_000, 500_000)
    with Listener.on(deployment) as listener:
        starts = []
        for batch in detector_batches(0)[: 1 + STARTS]:
            sender.send([sender.encoded(batch)])
            start = time.monotonic()
            with serving(deployment, tmp_path):
                (seen,) = listener.wait_for([batch.id])
            starts.append(seen - start)
        # The first may compile kernels.
        record(
            Figure(
                "start of the process to its first batch published, kernels compiled",
                min(starts[1:]),
                unit="s",
                bar=3.0,
                details={"slowest": max(starts[1:])},
            )
        )

        with serving(deployment, tmp_path) as process:
            for batch in first_visits(size, 20_000):
                sender.send([sender.encoded(batch)])
                listener.wait_for([batch.id])
            used = []
            for visit in range(1, WHOLE_VISITS + 1):
                batch = repeated_visit(size, visit)
                sender.send([sender.encoded(batch)])
                listener.wait_for([batch.id])
                used.append(process.memory_info().rss / GIB)
            record(
                Figure("memory of the daemon with a region of 500k objects, at most", max(used), unit="GiB", bar=1.5)
            )
            record(
                Figure(
                    f"growth of memory over 1,000 visits of 10k sources, from the last half of {WHOLE_VISITS}",
                    1000 * growth_of(used[len(used) // 2 :]),
                    unit="GiB",
                    bar=0.05 if WHOLE_VISITS >= 1000 else None,
                )
            )
            used = []
            for visit in range(3000, 3000 + DETECTOR_VISITS):
                batches = detector_batches(visit)
                sender.send([sender.encoded(batch) for batch in batches])
                listener.wait_for([batch.id for batch in batches])
                used.append(process.memory_info().rss / GIB)
            growth = growth_of(used) / len(batches) * 1000
            record(Figure("growth of memory over 1,000 detector messages", growth, unit="GiB", bar=0.05))


def growth_of(values: list[float]) -> float:
    """Return how much these grow from one to the next, by least squares."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])
