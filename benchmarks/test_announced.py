"""A visit that was announced, while others are processed, against one whose states are in the cache."""

import statistics
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks.announced import forget, others_in_process, serving_and_warming
from benchmarks.deployed import SECTIONS, Listener, Sender, first_visits, repeated_visit
from benchmarks.side_by_side import Figure
from benchmarks.skies import Size
from benchmarks.test_checkpoints import N_SOURCES_EACH, grow
from stream_assoc.core.model.batch import Batch
from tests.integration.deployment import deploy

SIZE = Size(10_000, 20_000)
ROUNDS = 4
FIRST_OTHER_VISIT = 100_000


def test_an_announced_visit(
    kafka_bootstrap, valkey_url, postgresql_database, tmp_path: Path, record: Callable[[Figure], None]
) -> None:
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    sender = Sender(deployment)
    visits = iter([repeated_visit(SIZE, number) for number in range(1, 3 * ROUNDS + 3)])
    seconds: dict[str, list[float]] = {"announced": [], "warm": [], "cold": [], "warming": []}

    with Listener.on(deployment) as listener, serving_and_warming(deployment, tmp_path) as announcer:

        def seen_after(batch: Batch) -> float:
            message = sender.encoded(batch)
            sent = sender.send([message])
            (seen,) = listener.wait_for([batch.id])
            return seen - sent

        for batch in first_visits(SIZE):
            seen_after(batch)
        with psycopg.connect(postgresql_database, autocommit=True) as server:
            grow(server)
        forget(deployment)
        announcer.warm(next(visits))
        seen_after(next(visits))
        with others_in_process(sender, listener, FIRST_OTHER_VISIT):
            for _ in range(ROUNDS):
                announced, warm, cold = (next(visits) for _ in range(3))
                forget(deployment)
                seconds["warming"].append(announcer.warm(announced))
                seconds["announced"].append(seen_after(announced))
                seconds["warm"].append(seen_after(warm))
                forget(deployment)
                seconds["cold"].append(seen_after(cold))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    record(
        Figure(
            f"a visit of 10k sources, {N_SOURCES_EACH} sources an object, announced 20 s ahead, while others are "
            "processed / a visit with a warm cache",
            medians["announced"] / medians["warm"],
            bar=1.2,
            details=medians,
        )
    )
