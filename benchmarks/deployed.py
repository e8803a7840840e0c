"""A daemon on real servers, and when subscribers saw what it did."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import psutil
import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg import sql

from benchmarks.skies import (
    CENTRE_DEC,
    CENTRE_RA,
    FIRST_SOURCE_ID,
    MJD,
    Size,
    drawn_objects,
    objects_of,
    visit_of,
)
from stream_assoc.core.model.batch import Batch, BatchId
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from stream_assoc.messaging.avro.output_decoder import decode_metrics
from stream_assoc.messaging.kafka.plain_producer import PlainProducer
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from tests.chaos.nights import environment_of
from tests.integration.deployment import Deployment
from tests.pipeline.bench import batch_of

SECTIONS = {
    "kafka": {"partitions": 4},
    "new_objects": {"max_new_dia_objects": 1_000_000},
}
"""What differs from the defaults of a daemon: a burst of new objects is wanted here."""

N_DETECTORS = 189
SOURCES_PER_DETECTOR = 53
DETECTOR_DEGREES = 0.23
GRID = 14


class Listener:
    """A read_committed subscriber of the metrics topic, in a thread.

    Attributes
    ----------
    seen : `dict` [`BatchId`, `float`]
        When the metrics of each batch could be read, by `time.monotonic`.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.seen: dict[BatchId, float] = {}

    def _listen(self) -> None:
        kafka = self._deployment.settings.kafka
        consumer = Consumer(
            {**kafka.consumer_options(), "group.id": uuid4().hex, "isolation.level": "read_committed"}
        )
        try:
            consumer.assign([TopicPartition(kafka.metrics_topic, index, 0) for index in range(kafka.partitions)])
            while not self._stop.is_set():
                messages = consumer.consume(500, timeout=0.01)
                now = time.monotonic()
                with self._changed:
                    for message in messages:
                        metrics = decode_metrics(message.value())
                        self.seen.setdefault(BatchId(metrics.visit, metrics.detector), now)
                    self._changed.notify_all()
        finally:
            consumer.close()

    def wait_for(self, batches: list[BatchId], timeout_seconds: float = 600.0) -> list[float]:
        """Return when each of these was seen, once all of them are."""
        with self._changed:
            done = self._changed.wait_for(lambda: all(one in self.seen for one in batches), timeout_seconds)
        assert done, f"{sum(one not in self.seen for one in batches)} of {len(batches)} batches were not published"
        return [self.seen[one] for one in batches]

    @classmethod
    @contextlib.contextmanager
    def on(cls, deployment: Deployment) -> Iterator["Listener"]:
        """Listen until the end of the block."""
        listener = cls(deployment)
        thread = threading.Thread(target=listener._listen)
        thread.start()
        try:
            yield listener
        finally:
            listener._stop.set()
            thread.join()


class Sender:
    """Sends encoded batches, each into the partition of its detector."""

    def __init__(self, deployment: Deployment) -> None:
        kafka = deployment.settings.kafka
        self._topic = kafka.input_topic
        self._producer = PlainProducer(kafka.producer_options())
        self._encoder = BatchEncoder()

    def encoded(self, batch: Batch) -> OutputMessage:
        """Return the message of a batch."""
        return OutputMessage(self._topic, str(batch.id.detector).encode(), self._encoder.encode(batch))

    def send(self, messages: list[OutputMessage]) -> float:
        """Send, and return when the broker had them, by `time.monotonic`."""
        self._producer.send(messages)
        self._producer.flush()
        return time.monotonic()


@contextlib.contextmanager
def serving(
    deployment: Deployment, folder: Path, name: str = "the-only-one", settings: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Run a daemon as its operator does, with further variables of its settings; stop it at the end of the block."""
    command = [sys.executable, "-m", "stream_assoc", "serve"]
    environment = environment_of(deployment) | {
        "STREAM_ASSOC_NEW_OBJECTS__MAX_NEW_DIA_OBJECTS": "1000000",
        "STREAM_ASSOC_KAFKA__GROUP_INSTANCE_ID": name,
        "STREAM_ASSOC_KAFKA__TRANSACTIONAL_ID": f"{deployment.settings.kafka.effective_transactional_id}-{name}",
    }
    # Versions are to be stamped with the time, not with that of a test.
    environment.pop("STREAM_ASSOC_DAEMON__PIN_CLOCK_MJD", None)
    environment |= settings or {}
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def detector_batches(visit: int) -> list[Batch]:
    """Return a visit as Rubin's 189 detectors, about 53 sources each, the same stars every time."""
    batches = []
    for detector in range(N_DETECTORS):
        row, column = divmod(detector, GRID)
        dec = CENTRE_DEC + (row - GRID / 2) * DETECTOR_DEGREES
        scale = 1.0 / np.cos(np.radians(dec))
        ra = CENTRE_RA + (column - GRID / 2) * DETECTOR_DEGREES * scale
        stars = np.random.default_rng(detector)
        scatter = np.random.default_rng((visit, detector))
        n = SOURCES_PER_DETECTOR
        across, along = stars.uniform(0.01, DETECTOR_DEGREES - 0.01, (2, n))
        table = pd.DataFrame(
            {
                "diaSourceId": FIRST_SOURCE_ID + (visit * 1_000 + detector) * 1_000 + np.arange(n, dtype=np.int64),
                "ra": ra + across * scale + scatter.normal(0.0, 2e-5, n),
                "dec": dec + along + scatter.normal(0.0, 2e-5, n),
                "raErr": np.full(n, 2e-5),
                "decErr": np.full(n, 2e-5),
                "x": np.full(n, 1.0),
                "y": np.full(n, 1.0),
                "psfFlux": scatter.normal(1000.0, 100.0, n),
                "psfFluxErr": np.full(n, 50.0),
                "scienceFlux": scatter.normal(1000.0, 100.0, n),
                "scienceFluxErr": np.full(n, 50.0),
                "reliability": np.full(n, 0.9),
            }
        )
        side, height = DETECTOR_DEGREES * scale, DETECTOR_DEGREES
        outline = np.array([(ra, dec), (ra + side, dec), (ra + side, dec + height), (ra, dec + height)])
        batches.append(batch_of(table, BatchId(visit, detector), "r", MJD + visit / 2000.0, outline))
    return batches


def whole_visit(size: Size, visit: int) -> Batch:
    """Return a visit of one batch over the objects that `first_visits` makes."""
    return visit_of(size, objects_of(size), visit)


def repeated_visit(size: Size, visit: int) -> Batch:
    """Return a visit of one batch that sees objects drawn anew from those that `first_visits` makes, and no other.

    After many of them the sky is what it was, with a little more history everywhere.
    """
    return visit_of(size, objects_of(size), visit, drawn_objects(size, visit))


def first_visits(size: Size, at_once: int = 10_000) -> list[Batch]:
    """Return visits that make every object of the region, so many at a time."""
    objects = objects_of(size)
    batches = []
    for index, begin in enumerate(range(0, len(objects), at_once)):
        part = objects.rows(begin, begin + at_once)
        everything = Size(round(len(part) / 0.9), len(part))
        batches.append(visit_of(everything, part, visit=900_000 + index))
    return batches


@contextlib.contextmanager
def copy_of(url: str, name: str) -> Iterator[psycopg.Connection]:
    """Make a copy of a database that nobody works on; yield a connection to it."""
    source = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
        # Whoever made the database may still hold a pooled connection to it.
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [source])
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(str(source))
            )
        )
        try:
            with psycopg.connect(url, dbname=name) as connection:
                # Without the work of the triggers for other programs, which a daemon switches off too.
                connection.execute(f"SET {BATCH_SETTING} = 'on'".encode())
                connection.commit()
                yield connection
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def backlog_rate(listener: Listener, sender: Sender, n_visits: int) -> float:
    """Return how many detector messages a second daemons get through that are started now.

    The first of the visits makes all objects and loads kernels, and does not count.
    """
    batches = [batch for visit in range(n_visits) for batch in detector_batches(visit)]
    sender.send([sender.encoded(batch) for batch in batches])
    seen = np.sort(listener.wait_for([batch.id for batch in batches]))[N_DETECTORS:]
    return float((len(seen) - 1) / (seen[-1] - seen[0]))
