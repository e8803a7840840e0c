"""What a second daemon brings on one machine, and what one costs that has nothing to do."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
import redis

from benchmarks.deployed import N_DETECTORS, SECTIONS, Listener, detector_batches, serving
from benchmarks.side_by_side import Figure
from stream_assoc.settings.operation import DaemonSettings
from tests.integration.deployment import deploy
from tests.services import new_database

Record = Callable[[Figure], None]

ROUNDS: Final = 2
N_VISITS: Final = 4

SETTLED_SECONDS: Final = 15.0
"""A look through the outbox and every probe have come by then."""

WATCHED_SECONDS: Final = 60.0
HOUR_SECONDS: Final = 3600.0


def test_two_daemons_against_one(
    kafka_bootstrap: str, valkey_url: str, postgresql_url: str, tmp_path: Path, record: Record
) -> None:
    def rate(n_daemons: int) -> float:
        """Return how many messages a second so many daemons get through, each with its own part of the sky."""
        with ExitStack() as stack:
            url = stack.enter_context(new_database(postgresql_url))
            deployment = deploy(kafka_bootstrap, valkey_url, url, **SECTIONS)
            n_partitions = deployment.settings.kafka.partitions
            batches = [batch for visit in range(N_VISITS) for batch in detector_batches(visit)]
            listener = stack.enter_context(Listener.on(deployment))
            for number in range(n_daemons):
                stack.enter_context(serving(deployment, tmp_path, f"daemon-{number}"))
            deployment.wait_until(lambda: deployment.n_working_members() == n_daemons)
            deployment.send_into([(one.id.detector * n_partitions // N_DETECTORS, one) for one in batches])
            # The first visit makes all objects and loads kernels.
            seen = np.sort(listener.wait_for([one.id for one in batches]))[N_DETECTORS:]
            return float((len(seen) - 1) / (seen[-1] - seen[0]))

    rates = [(rate(1), rate(2)) for _ in range(ROUNDS)]
    one, two = (max(some) for some in zip(*rates, strict=True))
    record(
        Figure(
            "messages a second of two daemons / of one, all servers on the same machine",
            two / one,
            details={"one daemon, a second": one, "two daemons, a second": two},
        )
    )


def test_an_idle_daemon(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path, record: Record
) -> None:
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    defaults = {"STREAM_ASSOC_DAEMON__POLL_TIMEOUT_SECONDS": str(DaemonSettings().poll_timeout_seconds)}
    with (
        serving(deployment, tmp_path, settings=defaults) as daemon,
        redis.Redis.from_url(valkey_url) as cache,
        psycopg.connect(postgresql_database, autocommit=True) as apdb,
    ):

        def counts() -> tuple[float, int, int]:
            """Return seconds of the processor, requests to the cache and transactions of the APDB, these included."""
            row = apdb.execute(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            used = daemon.cpu_times()
            return used.user + used.system, int(cache.info("stats")["total_commands_processed"]), int(row[0])

        deployment.wait_until(lambda: deployment.n_working_members() == 1)
        time.sleep(SETTLED_SECONDS)
        before = counts()
        time.sleep(WATCHED_SECONDS)
        seconds, requests, transactions = (
            (after - earlier) * HOUR_SECONDS / WATCHED_SECONDS
            for earlier, after in zip(before, counts(), strict=True)
        )
    record(
        Figure(
            "an idle daemon, seconds of a processor an hour",
            seconds,
            unit="s",
            bar=36.0,
            details={"requests to Valkey an hour": requests, "transactions of PostgreSQL an hour": transactions},
        )
    )
