"""``cache verify``, ``cache rebuild`` and ``cache warm``."""

import re
import threading
from dataclasses import replace
from functools import reduce
from uuid import uuid4

import numpy as np
import pytest

from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.cache.redis.connection import connect
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.tools.maintenance.verify import Verification, verify
from stream_assoc.wiring.pipeline import calculator_of, partition_of
from stream_assoc.wiring.stores import open_services, open_stores
from tests.apps.cli.invoking import Invoke
from tests.configured import configured
from tests.pipeline.skies import PINNED, night, process_from


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--ra", 10, "--dec", -5], "all of --ra, --dec"),
        (["--radius", 1], "all of --ra, --dec"),
        (["--ra", 10, "--dec", -5, "--radius", 1, "--tile", 8 << 20], "either"),
        (["--ra", 10, "--dec", -95, "--radius", 1], "'--dec'"),
        (["--ra", 10, "--dec", -5, "--radius", 21], "'--radius'"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "rebuild", "warm"])
def test_half_a_region_two_regions_or_a_wrong_one_are_refused(
    invoke: Invoke, command: str, options: list[int | str], reason: str
) -> None:
    result = invoke("cache", command, *options)
    assert result.exit_code == 2
    assert reason in result.stderr


def forget(url, prefix) -> None:
    """Delete every key that begins with the prefix."""
    client = connect(url)
    for key in client.scan_iter(f"{prefix}:*", count=1000):
        client.delete(key)
    client.close()


@pytest.fixture
def settings(valkey_url: str, postgresql_database: str):
    init(postgresql_database)
    prefix = uuid4().hex
    yield configured(redis={"url": valkey_url, "prefix": prefix}, apdb={"url": postgresql_database}, **PINNED)
    forget(valkey_url, prefix)


@pytest.fixture
def cache(invoke: Invoke, settings):
    """Run a cache command on Valkey and PostgreSQL."""

    def run(command, *options):
        stores = {"redis.url": settings.redis.url, "apdb.url": settings.apdb.url}
        assignments = [f"{name}={url.get_secret_value()}" for name, url in stores.items()]
        assignments.append(f"redis.prefix={settings.redis.prefix}")
        return invoke("cache", command, *options, *(part for one in assignments for part in ("--set", one)))

    return run


def process_night(settings) -> None:
    with open_services(settings) as services:
        for turn, batch in enumerate(night()):
            process_from(services, turn, batch)


def circle(radius=0.4):
    vertices = np.concatenate([batch.footprint for batch in night()])
    ra, dec = vertices.mean(axis=0)
    return ["--ra", ra, "--dec", dec, "--radius", radius]


@pytest.mark.integration
def test_a_cache_is_verified_damaged_repaired_lost_and_warmed(cache, settings) -> None:
    process_night(settings)
    sound = cache("verify")
    assert sound.exit_code == 0, sound.stdout
    tiles, states = map(int, re.findall(r"(\d+) checked, 0 missing, 0 stale, 0 different", sound.stdout))
    assert tiles > 10
    assert states > 100

    with open_stores(settings) as (apdb, redis_cache):
        stores = Stores(apdb, redis_cache, calculator_of(settings), partition_of(settings))
        known = apdb.known_tiles()
        with apdb.exclusive(stores.partition.cells(known)) as session:
            tile, objects = max(session.load_tiles(known).split().items(), key=lambda held: len(held[1]))
            true = stores.rebuilt(session, objects)
        cell = int(stores.partition.cells(np.array([tile]))[0])
        stores.write_states(replace(true, object_fields=true.object_fields + 1.0), cell)

    found = cache("verify", "--tile", tile)
    assert found.exit_code == 1
    assert f"states: {len(objects)} checked, 0 missing, 0 stale, {len(objects)} different (" in found.stdout
    assert f"  {stores.calculator.object_field_names[0]}: 1\n" in found.stdout
    repaired = cache("verify", "--tile", tile, "--repair")
    assert repaired.exit_code == 0
    assert f"{len(objects)} tiles and states repaired" in repaired.stdout
    assert cache("verify").stdout == sound.stdout

    forget(settings.redis.url.get_secret_value(), settings.redis.prefix)
    lost = cache("verify")
    assert lost.exit_code == 0
    assert f"states: {states} checked, {states} missing" in lost.stdout
    warmed = cache("warm", *circle())
    told = re.search(r"tiles and (\d+) of \1 states written", warmed.stdout)
    assert told is not None, warmed.stdout
    written = int(told[1])
    assert 0 < written <= states
    assert " 0 of " in cache("warm", *circle()).stdout
    assert f"{states} of {states} states written" in cache("rebuild").stdout
    assert cache("verify").stdout == sound.stdout


@pytest.mark.integration
def test_nothing_looks_different_while_batches_are_processed(settings) -> None:
    daemon = threading.Thread(target=process_night, args=(settings,))
    rounds: list[Verification] = []
    with open_stores(settings) as (apdb, redis_cache):
        stores = Stores(apdb, redis_cache, calculator_of(settings), partition_of(settings))
        daemon.start()
        while daemon.is_alive() or not rounds:
            rounds.append(reduce(Verification.__add__, verify(stores, apdb.known_tiles()), Verification()))
        daemon.join()
        last = reduce(Verification.__add__, verify(stores, apdb.known_tiles()), Verification())
    assert [(one.n_left, one.drift) for one in rounds if one.n_left or one.drift] == []
    assert (last.states.missing, last.states.stale, last.n_left) == (0, 0, 0)
    assert last.states.checked > 100
