"""The daemon as a process: how soon it works, and how much memory it takes."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.deployed import SECTIONS, Listener, Sender, detector_batches, first_visits, serving, whole_visit
from benchmarks.side_by_side import Figure
from benchmarks.skies import Size
from tests.integration.deployment import deploy

Record = Callable[[Figure], None]

GIB = float(2**30)
DETECTOR_VISITS = 5
WHOLE_VISITS = 8


def test_start_and_memory(kafka_bootstrap, valkey_url, postgresql_database, tmp_path: Path, record: Record):
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    sender = Sender(deployment)
    size = Size(10_000, 500_000)
    with Listener.on(deployment) as listener:
        warm, first = detector_batches(0)[:2]
        starts = []
        for batch in (warm, first):
            sender.send([sender.encoded(batch)])
            start = time.monotonic()
            with serving(deployment, tmp_path):
                (seen,) = listener.wait_for([batch.id])
            starts.append(seen - start)
        record(
            Figure(
                "start of the process to its first batch published, kernels compiled", starts[1], unit="s", bar=3.0
            )
        )

        with serving(deployment, tmp_path) as process:
            for batch in [
                *first_visits(size, 20_000),
                *(whole_visit(size, visit) for visit in range(1, WHOLE_VISITS)),
            ]:
                sender.send([sender.encoded(batch)])
                listener.wait_for([batch.id])
            record(
                Figure(
                    "memory of the daemon with a region of 500k objects",
                    process.memory_info().rss / GIB,
                    unit="GiB",
                    bar=1.5,
                )
            )
            used = []
            for visit in range(300, 300 + DETECTOR_VISITS):
                batches = detector_batches(visit)
                sender.send([sender.encoded(batch) for batch in batches])
                listener.wait_for([batch.id for batch in batches])
                used.append(process.memory_info().rss)
            growth = np.polyfit(np.arange(len(used)), used, 1)[0] / len(batches) * 1000 / GIB
            record(Figure("growth of memory over 1,000 detector messages", float(growth), unit="GiB", bar=0.05))
