"""Visits that are announced: told to a daemon that warms beside its work, and waited for until they are warm."""

import contextlib
import dataclasses
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.deployed import Listener, Sender, detector_batches, serving
from stream_assoc.core.model.announced_visits import AnnouncedVisit
from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.model.times import SECONDS_PER_DAY, mjd_tai_of_unix
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.messaging.avro.next_visits import encode_next_visit
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.kafka import free_ports
from tests.integration.deployment import Deployment

RADIUS_DEG = 2.6
"""The visits of a benchmark are squares of 3.5 degrees, corners and all."""

ELSEWHERE_DEGREES = 40.0
OTHERS_A_SECOND = 5.0
"""Rubin's cadence of detector messages."""


class Announcer:
    """Announces visits to a daemon, and knows when they are warm.

    Parameters
    ----------
    deployment : `Deployment`
    port : `int`
        Where the daemon's metrics are.
    """

    def __init__(self, deployment: Deployment, port: int) -> None:
        self._topic = deployment.settings.kafka.next_visits_topic
        self._producer = PlainProducer(deployment.settings.kafka.producer_options())
        self._port = port

    def announce(self, batch: Batch, lead_seconds: float) -> None:
        """Announce the visit of a batch so long before it begins."""
        ((ra,), (dec,)) = to_radec(unit_vectors(*batch.footprint.T).sum(axis=0)[None, :])
        start = mjd_tai_of_unix(time.time()) + lead_seconds / SECONDS_PER_DAY
        visit = AnnouncedVisit(float(ra), float(dec), start, str(batch.id.visit))
        self._producer.send([OutputMessage(self._topic, None, encode_next_visit(visit))])
        self._producer.flush()

    def n_warm(self) -> float:
        """Return how many visits the daemon has warmed."""
        return self._total("stream_assoc_warming_seconds_count")

    def n_written(self) -> float:
        """Return how many micro-batches the daemon has written to the cache, which it does after publishing them."""
        return self._total('stream_assoc_micro_batch_step_seconds_count{step="write_cache"}')

    def _total(self, series: str) -> float:
        """Return the sum of a metric's series that begin so; 0 while nobody serves them yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.split()[-1]) for line in lines if line.startswith(series))

    def warm(self, batch: Batch, lead_seconds: float = 20.0, timeout_seconds: float = 300.0) -> float:
        """Announce a visit, wait until its sky is warm, and return how long that took, seconds."""
        before, begin = self.n_warm(), time.monotonic()
        self.announce(batch, lead_seconds)
        while self.n_warm() <= before:
            assert time.monotonic() - begin < timeout_seconds, "the visit was not warmed"
            time.sleep(0.05)
        return time.monotonic() - begin


@contextlib.contextmanager
def serving_and_warming(
    deployment: Deployment, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Announcer]:
    """Run a daemon that warms beside its work, with further variables of its settings; stop it at the end."""
    (port,) = free_ports(1)
    warming = {
        "STREAM_ASSOC_WARMING__ENABLED": "true",
        "STREAM_ASSOC_WARMING__RADIUS_DEG": str(RADIUS_DEG),
        "STREAM_ASSOC_METRICS__PROMETHEUS_PORT": str(port),
    }
    with serving(deployment, folder, settings=warming | dict(settings or {})):
        yield Announcer(deployment, port)


def forget(deployment: Deployment) -> None:
    """Empty the cache."""
    with connect(deployment.settings.redis.url.get_secret_value()) as client:
        client.flushall()


def elsewhere(batch: Batch, degrees: float = ELSEWHERE_DEGREES) -> Batch:
    """Return a batch of another part of the sky."""
    rows = batch.diaSources
    index = rows.schema.get_field_index("ra")
    moved = rows.set_column(index, rows.schema.field(index), pc.add(rows.column(index), pa.scalar(degrees)))
    return dataclasses.replace(batch, diaSources=moved, footprint=batch.footprint + np.array([degrees, 0.0]))


@contextlib.contextmanager
def others_in_process(sender: Sender, listener: Listener, first_visit: int) -> Iterator[None]:
    """Send detector messages of another part of the sky, one after another, for the length of the block."""
    stop = threading.Event()
    sent: list[Batch] = []

    def send() -> None:
        for visit in range(first_visit, first_visit + 1000):
            for batch in map(elsewhere, detector_batches(visit)):
                sender.send([sender.encoded(batch)])
                sent.append(batch)
                if stop.wait(1.0 / OTHERS_A_SECOND):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    listener.wait_for([batch.id for batch in sent])
