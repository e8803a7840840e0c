"""Processes that are killed while they store overlapping batches: each batch counts once, in one order."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

from stream_assoc.stores.apdb.cassandra.groups import State
from tests.cassandra.ring import Ring
from tests.stores.apdb.cassandra.daemon import Daemon
from tests.stores.apdb.cassandra.worker import CELLS, N_BATCHES, cells_of

pytestmark = [pytest.mark.integration, pytest.mark.long]

N_WORKERS = 3
N_KILLS = 10
REPOSITORY = Path(__file__).parents[4]


def start(ring: Ring, keyspace: str, number: int) -> subprocess.Popen[bytes]:
    begin = str(number * N_BATCHES // N_WORKERS)
    command = [sys.executable, "-m", "tests.stores.apdb.cassandra.worker", ",".join(ring.addresses), keyspace, begin]
    return subprocess.Popen(command, cwd=REPOSITORY)


def test_each_batch_counts_once_whoever_is_killed(cassandra_node: Ring, daemons: tuple[Daemon, Daemon]) -> None:
    watcher, _ = daemons
    dice = random.Random(7)
    workers = [start(cassandra_node, watcher.connection.keyspace, number) for number in range(N_WORKERS)]
    try:
        for kill in range(1, N_KILLS + 1):
            # One kill for every few batches, wherever its process is by then.
            while stored(watcher) < kill * N_BATCHES // (N_KILLS + 2):
                assert any(worker.poll() is None for worker in workers)
            number = dice.randrange(N_WORKERS)
            workers[number].kill()
            workers[number].wait()
            workers[number] = start(cassandra_node, watcher.connection.keyspace, number)
        assert [worker.wait(300) for worker in workers] == [0] * N_WORKERS
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    histories = {cell: history(watcher, cell) for cell in CELLS}
    for cell, found in histories.items():
        assert sorted(found) == [batch for batch in range(N_BATCHES) if cell in cells_of(batch)]
    for one, other in itertools.combinations(histories.values(), 2):
        both = set(one) & set(other)
        assert [batch for batch in one if batch in both] == [batch for batch in other if batch in both]
    leases = watcher.leases.read(CELLS)
    assert {cell: sum(lease.tile_versions.values()) for cell, lease in leases.items()} == {
        cell: len(found) for cell, found in histories.items()
    }
    assert watcher.leases.single_source_objects() == N_BATCHES
    # Some died between their note and their commit, others before they took the note away.
    left = {watcher.groups.read(group_id).state for group_id in watcher.applier.unfinished()}
    assert State.COMMITTED not in left


def history(daemon: Daemon, cell: int) -> list[int]:
    found = daemon.item(cell)
    return [] if found is None else [int(name) for name in found[0].split(",") if name]


def stored(daemon: Daemon) -> int:
    return sum(len(history(daemon, cell)) for cell in CELLS) // 2
