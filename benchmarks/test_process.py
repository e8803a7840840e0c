"""The daemon as a process: how soon it works, and how much memory it takes."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.deployed import SECTIONS, Listener, Sender, detector_batches, first_visits, whole_visit
from benchmarks.side_by_side import Figure
from benchmarks.skies import Size
from tests.chaos.nights import environment_of
from tests.integration.deployment import Deployment, deploy

Record = Callable[[Figure], None]

GIB = float(2**30)
DETECTOR_VISITS = 5
WHOLE_VISITS = 8


@contextlib.contextmanager
def serving(deployment: Deployment, folder: Path) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "stream_assoc", "serve"]
    environment = environment_of(deployment) | {
        "STREAM_ASSOC_NEW_OBJECTS__MAX_NEW_DIA_OBJECTS": "1000000",
        "STREAM_ASSOC_DAEMON__PIN_CLOCK_MJD": "",
    }
    environment.pop("STREAM_ASSOC_DAEMON__PIN_CLOCK_MJD")
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


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
