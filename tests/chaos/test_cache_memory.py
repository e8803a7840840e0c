"""A night with less memory than its tiles and states take, under each policy: slower perhaps, and the same."""

import contextlib
import re
import urllib.request
from pathlib import Path

import pytest
import redis

from stream_assoc.tools.embedded.kafka import free_ports
from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from stream_assoc.wiring.pipeline import calculator_of, checkpoints_of, partition_of
from stream_assoc.wiring.stores import open_stores
from tests.chaos.nights import Night, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

SPARE_BYTES = {True: 200 * 1024, False: 48 * 1024}
"""What Valkey may hold, by whether it evicts: a few batches. What a client is sending counts too."""

EVICTS = {
    "allkeys-lru": True,
    "allkeys-lfu": True,
    "allkeys-random": True,
    # None of our keys expires.
    "volatile-ttl": False,
    "noeviction": False,
}


def cache_reads(metrics: str, kind: str, result: str) -> float:
    found = re.search(rf'^stream_assoc_cache_reads_total{{kind="{kind}",result="{result}"}} (\S+)$', metrics, re.M)
    assert found is not None
    return float(found.group(1))


def verification(night: Night) -> Verification:
    settings = night.deployment.settings
    total = Verification()
    with open_stores(settings) as (apdb, cache):
        stores = Stores(apdb, cache, calculator_of(settings), partition_of(settings), checkpoints_of(settings))
        for piece in verify(stores, apdb.known_tiles(), repair=False):
            total += piece
        assert cache.unreadable == 0
    return total


@pytest.mark.parametrize("policy", EVICTS)
def test_a_night_with_too_little_memory(
    kafka_bootstrap: str, postgresql_database: str, expected: Outcome, tmp_path: Path, policy: str
) -> None:
    (port,) = free_ports(1)
    with EmbeddedValkey() as server, contextlib.closing(redis.Redis.from_url(server.url)) as valkey:
        valkey.config_set("maxmemory-policy", policy)
        valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] + SPARE_BYTES[EVICTS[policy]])
        night = night_on(kafka_bootstrap, server.url, postgresql_database, tmp_path)
        with night.life({"STREAM_ASSOC_METRICS__PROMETHEUS_PORT": str(port)}) as process:
            night.deployment.wait_until(lambda: night.deployment.n_committed() == night.n_batches)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                metrics = answer.read().decode()
            night.finish_life(process)
        found = verification(night)
        assert (found.n_left, found.tiles.different, found.states.different) == (0, 0, 0)
        assert found.tiles.missing + found.states.missing + found.tiles.stale + found.states.stale > 0
        for kind in ("tile", "state"):
            assert cache_reads(metrics, kind, "miss") > 0
        log = night.log.read_text()
        if EVICTS[policy]:
            assert valkey.info("stats")["evicted_keys"] > 0
            assert cache_reads(metrics, "state", "hit") > 0
        else:
            assert valkey.info("stats")["evicted_keys"] == 0
            assert "raise its maxmemory, or set its maxmemory-policy to allkeys-lru" in log
            assert f"maxmemory-policy {policy} and will refuse writes when full" in log
            refused = re.search(r'^stream_assoc_retries_total{service="cache"} (\S+)$', metrics, re.M)
            assert refused is not None
            assert float(refused.group(1)) > 0
            # A refused write is not tried again, and nothing waits for it.
            assert '"event": "retrying"' not in log
        assert_nothing_shows(night.outcome(), expected)
