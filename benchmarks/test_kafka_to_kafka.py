"""From Kafka to Kafka: durable, exactly once, on PostgreSQL and Valkey."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.deployed import (
    SECTIONS,
    Listener,
    Sender,
    backlog_rate,
    copy_of,
    detector_batches,
    first_visits,
    serving,
    whole_visit,
)
from benchmarks.raw_copy import raw_copy_seconds
from benchmarks.side_by_side import Figure
from benchmarks.skies import Size
from tests.integration.deployment import deploy

Record = Callable[[Figure], None]

BACKLOG_VISITS = 4
CADENCE_PER_SECOND = 5.0
CADENCE_MESSAGES = 150


def test_a_visit_against_a_raw_copy_of_its_rows(
    kafka_bootstrap, valkey_url, postgresql_database, tmp_path: Path, record: Record
) -> None:
    size = Size(10_000, 100_000)
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    sender = Sender(deployment)
    preparation = [*first_visits(size), whole_visit(size, 1)]
    visits = [whole_visit(size, visit) for visit in range(2, 7)]
    with Listener.on(deployment) as listener:
        with serving(deployment, tmp_path):
            for batch in preparation:
                sender.send([sender.encoded(batch)])
            listener.wait_for([batch.id for batch in preparation])
        with copy_of(postgresql_database, "raw_copy") as raw:
            raw.execute("ANALYZE")
            raw.commit()
            ours, copies = [], []
            with serving(deployment, tmp_path), psycopg.connect(postgresql_database) as apdb:
                apdb.execute("ANALYZE")
                apdb.commit()
                for batch in visits:
                    message = sender.encoded(batch)
                    sent = sender.send([message])
                    (seen,) = listener.wait_for([batch.id])
                    ours.append(seen - sent)
                    copies.append(raw_copy_seconds(apdb, raw, batch.id.visit))
    # The first visit of each daemon opens connections and loads kernels.
    ours, copies = ours[1:], copies[1:]
    record(
        Figure(
            "a visit of 10k sources, Kafka to Kafka / raw binary COPY of its rows",
            min(ours) / min(copies),
            bar=2.0,
            details={"visit": min(ours), "copy": min(copies), "median visit": float(np.median(ours))},
        )
    )


def test_detector_messages(kafka_bootstrap, valkey_url, postgresql_database, tmp_path: Path, record: Record) -> None:
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    sender = Sender(deployment)
    with Listener.on(deployment) as listener, serving(deployment, tmp_path):
        record(
            Figure(
                "detector messages of 53 sources a second, sustained backlog",
                backlog_rate(listener, sender, BACKLOG_VISITS),
                unit="/s",
                bar=40.0,
                at_least=True,
            )
        )
        burst = detector_batches(100)
        sent = sender.send([sender.encoded(batch) for batch in burst])
        seen = np.array(listener.wait_for([batch.id for batch in burst]))
        record(
            Figure(
                "189 detector messages at once, until all are published",
                float(seen.max() - sent),
                unit="s",
                bar=5.0,
            )
        )
        latencies = latencies_at_cadence(sender, listener)
        record(
            Figure(
                "99th percentile of a message at Rubin's cadence",
                float(np.percentile(latencies, 99)),
                unit="s",
                bar=1.0,
                details={"median": float(np.median(latencies)), "maximum": float(latencies.max())},
            )
        )


def latencies_at_cadence(sender: Sender, listener: Listener) -> np.ndarray:
    """Send one message each fifth of a second, whatever becomes of the earlier ones."""
    batches = detector_batches(200)[:CADENCE_MESSAGES]
    messages = [sender.encoded(batch) for batch in batches]
    start = time.monotonic()
    due = start + np.arange(len(messages)) / CADENCE_PER_SECOND
    for message, when in zip(messages, due.tolist(), strict=True):
        time.sleep(max(0.0, when - time.monotonic()))
        sender.send([message])
    # Against when each was due, so that a sender held up cannot hide latency.
    return np.array(listener.wait_for([batch.id for batch in batches])) - due
