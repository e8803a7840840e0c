"""Several daemons on detectors that overlap do what one does, also while they come, go, freeze and die.

The number of visits is in the environment: STREAM_ASSOC_TEST_CHAOS_VISITS (``make chaos``).
"""

import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psycopg
import pytest

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.changes import BatchChanges
from stream_assoc.core.model.types import IntArray
from stream_assoc.stores.apdb.postgresql.apdb import PostgresqlApdb
from stream_assoc.stores.apdb.postgresql.session import PostgresqlSession
from stream_assoc.stores.apdb.rows.snapshot import SeenTiles
from tests.cassandra.prepared import PreparedApdb
from tests.chaos.fleet import CAMERA, Fleet, deploy_for_a_fleet
from tests.chaos.serial import NOTHING, judge
from tests.contents import n_rows
from tests.integration.deployment import Deployment, deploy
from tests.pipeline.focal_plane import visits

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

N_VISITS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_VISITS", "9"))
"""For each number of daemons."""

VISITS_BETWEEN_DISTURBANCES = 3 if N_VISITS < 100 else 12

VISITS_IN_FLIGHT = 4
"""Visits are sent that far ahead of what has counted."""

Disturbance = Callable[[int, Callable[[], None]], None]
"""Does something to a daemon while what the callable sends is processed."""

ABORTED = "which has aborted its group"
"""What a daemon says whose cells have gone to another one."""

ENDED = "the locks on the sky with it"
"""What a daemon says whose session on PostgreSQL was ended."""

NO_CELLS = np.empty(0, np.int64)


@pytest.mark.parametrize("n_daemons", [2, 4])
def test_daemons_that_come_and_go_do_what_one_does(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, n_daemons: int, tmp_path: Path
) -> None:
    deployment = deploy_for_a_fleet(kafka_bootstrap, valkey_url, postgresql_database)
    fleet = Fleet(deployment, tmp_path)
    sent = process(fleet, n_daemons, N_VISITS, [at_work(one) for one in (fleet.leave, fleet.kill, fleet.freeze)])
    assert judge(deployment, sent, tmp_path) == NOTHING
    assert n_deadlocks(deployment) == 0


def test_on_cassandra_others_go_on_without_a_frozen_daemon_too(
    kafka_bootstrap: str, valkey_url: str, prepared_apdb: PreparedApdb, tmp_path: Path
) -> None:
    deployment = deploy_for_a_fleet(kafka_bootstrap, valkey_url, prepared_apdb.emptied())
    fleet = Fleet(deployment, tmp_path)
    sent = process(fleet, 2, 2 * N_VISITS // 3, [at_work(fleet.kill), fleet.freeze_before_a_commit])
    assert judge(deployment, sent, tmp_path) == NOTHING
    assert ABORTED in fleet.logs()


def test_on_postgresql_others_go_on_without_a_frozen_daemon_too(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path
) -> None:
    apdb = {"idle_timeout_seconds": 3}
    fleet = Fleet(deploy_for_a_fleet(kafka_bootstrap, valkey_url, postgresql_database, apdb=apdb), tmp_path)
    sent = process(fleet, 2, N_VISITS // 3, [fleet.freeze_before_a_commit])
    assert judge(fleet.deployment, sent, tmp_path) == NOTHING
    assert ENDED in fleet.logs()


def at_work(disturb: Callable[[int], None]) -> Disturbance:
    """Return a disturbance of a daemon that has been sent something."""

    def send_and_disturb(number: int, send: Callable[[], None]) -> None:
        send()
        disturb(number)

    return send_and_disturb


def process(fleet: Fleet, n_daemons: int, n_visits: int, disturbances: Sequence[Disturbance]) -> list[Batch]:
    """Let daemons process visits while something is done to one after the other; return the batches."""
    random = np.random.default_rng(n_daemons)
    disturb = itertools.cycle(disturbances)
    sent: list[Batch] = []
    start = time.monotonic()
    with fleet.running(n_daemons):
        for number, visit in enumerate(visits(CAMERA, n_visits), start=1):
            fleet.await_counted(len(sent) - (VISITS_IN_FLIGHT - 1) * len(visit))
            send = functools.partial(fleet.deployment.send_into, [(one.id.detector, one) for one in visit])
            sent += visit
            if number % VISITS_BETWEEN_DISTURBANCES == 0:
                next(disturb)(int(random.integers(n_daemons)), send)
            else:
                send()
        fleet.await_everything()
        seconds = time.monotonic() - start
    n_objects = n_rows(fleet.deployment.settings.apdb.url.get_secret_value(), "DiaObjectLast")
    print(f"{n_daemons} daemons, {len(sent)} batches, {n_objects} objects, {seconds:.0f} s")
    return sent


def n_deadlocks(deployment: Deployment) -> int:
    """Return how many the server had to break."""
    with psycopg.connect(deployment.settings.apdb.url.get_secret_value()) as server:
        row = server.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def test_without_locks_the_judge_sees_twins(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A partition for each daemon, a batch in each partition.
    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, kafka={"partitions": 2})
    kafka = deployment.settings.kafka.model_copy(update={"transactional_id": f"{tmp_path.name}.other"})
    other = deployment.settings.model_copy(update={"kafka": kafka})
    both_have_loaded = threading.Barrier(2, timeout=60.0)
    exclusive, commit = PostgresqlApdb.exclusive, PostgresqlSession.commit

    def commit_when_both_have_loaded(session: PostgresqlSession, changes: Sequence[BatchChanges]) -> IntArray:
        both_have_loaded.wait()
        return commit(session, changes)

    (visit,) = visits(CAMERA, 1)
    side_by_side = visit[1:3]
    with monkeypatch.context() as naive, deployment.daemon(), deployment.daemon(other):
        naive.setattr(PostgresqlApdb, "exclusive", lambda apdb, _: exclusive(apdb, NO_CELLS))
        naive.setattr(PostgresqlSession, "commit", commit_when_both_have_loaded)
        # Without locks the other daemon's commit would be noticed like that of any other program.
        naive.setattr(SeenTiles, "check", lambda *_: None)
        deployment.wait_until(lambda: deployment.n_working_members() == 2)
        deployment.send_into(list(enumerate(side_by_side)))
        deployment.wait_until(lambda: deployment.n_committed() == 2)
    findings = judge(deployment, side_by_side, tmp_path)
    assert findings.twins
    assert findings.owned_otherwise
    assert findings.objects
    assert "DiaObject" in findings.tables


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_copies_to_two_daemons_change_nothing(
    kafka_bootstrap: str, valkey_url: str, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'apdb.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql_database")
    deployment = deploy_for_a_fleet(kafka_bootstrap, valkey_url, url)
    random = np.random.default_rng(11)
    sent = [one for visit in visits(CAMERA, 2) for one in visit]
    copies = [one for one in sent for _ in range(random.integers(2, 6))]
    partitions = random.integers(deployment.settings.kafka.partitions, size=len(copies)).tolist()
    fleet = Fleet(deployment, tmp_path)
    with fleet.running(2):
        deployment.send_into([(partitions[place], copies[place]) for place in random.permutation(len(copies))])
        fleet.await_everything()
    assert judge(deployment, sent, tmp_path) == NOTHING
