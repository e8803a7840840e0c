"""Announced visits are warm before their batches come, on real servers, and followers may die at any time."""

import json
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

import numpy as np
import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_assoc.core.model.batch import Batch
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.warming import Warmed
from stream_assoc.service.daemon.process import StopRequest
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from stream_assoc.wiring.pipeline import calculator_of, checkpoints_of, partition_of
from stream_assoc.wiring.stores import open_services, open_stores
from stream_assoc.wiring.warming import WARMING_PROCESS, group_of, open_follower
from tests.contents import SCIENCE_TABLES, contents
from tests.integration.deployment import Deployment, deploy
from tests.integration.program import PROGRAM, environment_of, serve
from tests.pipeline.skies import PINNED, night

pytestmark = pytest.mark.integration

SECTIONS: dict[str, dict[str, object]] = {
    "kafka": {"partitions": 1},
    "daemon": {**PINNED["daemon"]},
    "warming": {"share": 1.0},
}
N_BEFORE = 10


@dataclass
class Seen:
    """An observer that can be waited for."""

    reasons: list[str] = field(default_factory=list)
    total: Warmed = field(default_factory=Warmed)
    n_finished: int = 0

    def announced(self) -> None: ...

    def dropped(self, reason: str) -> None:
        self.reasons.append(reason)

    def warmed(self, portion: Warmed) -> None:
        self.total += portion

    def finished(self, seconds: float, lead_seconds: float) -> None:
        self.n_finished += 1


@contextmanager
def following(deployment: Deployment) -> Iterator[Seen]:
    """Follow announcements in a thread until the end of the block."""
    stop, seen = StopRequest(30.0), Seen()

    def run() -> None:
        try:
            with open_follower(deployment.settings, stop, seen) as follower:
                follower.run()
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            deployment.errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(60.0)
    assert not thread.is_alive()
    assert not deployment.errors, deployment.errors


def announce(deployment: Deployment, *values: bytes) -> None:
    sent = deployment.sent
    deployment.send_raw([OutputMessage(deployment.settings.kafka.next_visits_topic, None, one) for one in values])
    deployment.sent = sent


def announcement(batch: Batch, **fields: object) -> bytes:
    """Return what an observatory with no more than a schedule says of a batch's visit."""
    ((ra,), (dec,)) = to_radec(unit_vectors(*batch.footprint.T).sum(axis=0)[None, :])
    return json.dumps({"position": [ra, dec], "groupId": str(batch.id.visit), **fields}).encode()


def flush(deployment: Deployment) -> None:
    """Lose all that is cached of this deployment."""
    with connect(deployment.settings.redis.url.get_secret_value()) as client:
        for key in client.scan_iter(f"{deployment.settings.redis.prefix}:*", count=1000):
            client.delete(key)


def verified(deployment: Deployment) -> Verification:
    settings = deployment.settings
    with open_stores(settings) as (apdb, cache):
        stores = Stores(apdb, cache, calculator_of(settings), partition_of(settings), checkpoints_of(settings))
        return reduce(Verification.__add__, verify(stores, apdb.known_tiles()), Verification())


def n_taken_in(deployment: Deployment) -> int:
    """Return up to where the followers' group need read no more."""
    kafka = deployment.settings.kafka
    consumer = Consumer({**kafka.consumer_options(), "group.id": group_of(deployment.settings)})
    try:
        (place,) = consumer.committed([TopicPartition(kafka.next_visits_topic, 0)], timeout=30)
        return max(0, place.offset)
    finally:
        consumer.close()


def is_beyond(deployment: Deployment, offset: int) -> bool:
    """Tell whether the followers' group has finished more than that."""
    return n_taken_in(deployment) > offset


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_an_announced_visit_is_warm(
    kind: str,
    deployed: Callable[..., Deployment],
    deployed_on_sqlite: Callable[..., Deployment],
) -> None:
    deployment = (deployed if kind == "postgresql" else deployed_on_sqlite)(**SECTIONS)
    deployment.send(night()[:N_BEFORE])
    deployment.process_everything()
    flush(deployment)
    upcoming = night()[N_BEFORE]
    with following(deployment) as seen:
        announce(deployment, b"rubbish", announcement(upcoming), announcement(upcoming, coordinateSystem=3))
        deployment.wait_until(lambda: seen.n_finished == 1 and n_taken_in(deployment) == 3)
        assert sorted(seen.reasons) == ["coordinates", "undecodable"]
        assert seen.total.written_states == seen.total.states > 50
        # The same again finds everything there.
        announce(deployment, announcement(upcoming, groupId="another name"))
        deployment.wait_until(lambda: seen.n_finished == 2)
        assert seen.total.written_states * 2 == seen.total.states
    with open_services(deployment.settings) as services:
        region = arrive(upcoming, services).region
        with services.apdb.exclusive(region.cells) as session:
            versions = session.read_snapshot([], region.tiles).tile_versions
        tiles = services.cache.read_tiles(region.tiles, versions)
        assert tiles.tiles.tolist() == region.tiles.tolist()
        objects = tiles.positions
        cells = services.partition.cells(np.repeat(tiles.tiles, np.diff(tiles.offsets)))
        cached = services.cache.read_states(objects.diaObjectId, cells, objects.validityStartMjdTai)
        assert len(cached.found) == len(objects) > 20
    assert verified(deployment).n_left == 0


def test_two_followers_share_the_visits(deployed_on_sqlite: Callable[..., Deployment]) -> None:
    deployment = deployed_on_sqlite(**SECTIONS | {"kafka": {"partitions": 4}})
    deployment.send(night()[:N_BEFORE])
    deployment.process_everything()
    n_visits = 12
    with following(deployment) as one, following(deployment) as other:
        announce(deployment, *(announcement(night()[0], groupId=str(turn)) for turn in range(n_visits)))
        deployment.wait_until(lambda: one.n_finished + other.n_finished == n_visits)
    assert one.reasons == other.reasons == []


def test_a_follower_that_is_killed_changes_nothing(
    kafka_bootstrap: str, valkey_url: str, postgresql_database: str, tmp_path: Path
) -> None:
    """Followers die all night while batches commit in the sky that they warm: the APDB is that of a night alone."""
    alone = deploy(kafka_bootstrap, valkey_url, f"sqlite:///{tmp_path / 'alone.sqlite3'}", **SECTIONS)
    alone.send(night())
    alone.process_everything()

    deployment = deploy(kafka_bootstrap, valkey_url, postgresql_database, **SECTIONS)
    environment = environment_of(
        deployment, warming__share=1.0, daemon__pin_clock_mjd=PINNED["daemon"]["pin_clock_mjd"]
    )
    deployment.send(night()[:N_BEFORE])
    with deployment.daemon(), (tmp_path / "follow.log").open("w") as log:
        for turn, batch in enumerate(night()[N_BEFORE:]):
            command = [str(PROGRAM), "cache", "warm", "--follow"]
            follower = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
            try:
                announce(deployment, *(announcement(batch, groupId=f"{turn} {again}") for again in range(3)))
                flush(deployment)
                if turn % 2:
                    # This one lives to see its visit warm.
                    deployment.wait_until(partial(is_beyond, deployment, n_taken_in(deployment)))
                deployment.send([batch])
                deployment.wait_until(lambda: deployment.n_committed() >= deployment.sent)
            finally:
                follower.kill()
                follower.wait()
    assert "Traceback" not in (tmp_path / "follow.log").read_text()
    found = verified(deployment)
    assert found.n_left == 0
    urls = [one.settings.apdb.url.get_secret_value() for one in (alone, deployment)]
    assert contents(urls[0], *SCIENCE_TABLES) == contents(urls[1], *SCIENCE_TABLES)


class Serving:
    """A daemon that warms beside its work, and what it tells."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self._port = port

    def value(self, series: str) -> float:
        """Return a metric, 0 while there is none of that name."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            assert self.process.poll() is None, "the daemon has ended"
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"stream_assoc_{series}"))

    def child(self) -> psutil.Process | None:
        """Return the process that warms."""
        found = [one for one in psutil.Process(self.process.pid).children() if WARMING_PROCESS in one.cmdline()]
        return found[0] if found else None


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_daemon_warms_beside_its_work(deployed: Callable[..., Deployment], tmp_path: Path) -> None:
    deployment = deployed(**SECTIONS)
    deployment.send(night()[:N_BEFORE])
    deployment.process_everything()
    flush(deployment)
    (port,) = free_ports(1)
    environment = environment_of(
        deployment, warming__enabled="true", warming__share=1.0, metrics__prometheus_port=port
    )
    upcoming = night()[N_BEFORE]
    with serve(tmp_path, environment) as process:
        daemon = Serving(process, port)
        announce(deployment, announcement(upcoming), b"rubbish")
        deployment.wait_until(lambda: daemon.value("warming_seconds_count") == 1)
        assert daemon.value("announced_visits_total") == 1
        assert daemon.value('dropped_announcements_total{reason="undecodable"}') == 1
        assert daemon.value('warming_written_total{kind="state"}') > 50
        # From now on what is announced is known to the daemon too.
        announce(deployment, announcement(upcoming, groupId="again"))
        deployment.wait_until(lambda: daemon.value("warming_seconds_count") == 2)
        deployment.send([upcoming])
        deployment.wait_until(lambda: deployment.n_committed() >= deployment.sent)
        deployment.wait_until(lambda: daemon.value('announced_cache_reads_total{kind="state",result="hit"}') > 20)
        assert daemon.value('announced_cache_reads_total{kind="tile",result="miss"}') == 0
        assert daemon.value('announced_cache_reads_total{kind="state",result="miss"}') == 0

        # What warms may die: another comes, and the daemon goes on.
        first = daemon.child()
        assert first is not None
        first.kill()
        deployment.send([night()[N_BEFORE + 1]])
        deployment.wait_until(lambda: deployment.n_committed() >= deployment.sent)
        deployment.wait_until(lambda: daemon.child() not in (None, first))
        announce(deployment, announcement(upcoming, groupId="once more"))
        deployment.wait_until(lambda: daemon.value("warming_seconds_count") == 3)

        # Whatever ends the daemon ends what warms beside it.
        second = daemon.child()
        assert second is not None
        process.kill()
        deployment.wait_until(lambda: is_gone(second))
    assert verified(deployment).n_left == 0
