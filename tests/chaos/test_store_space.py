"""A store has no space, or throws away what it holds, while the daemon works: the night comes out the same.

In how many nights is in the environment: STREAM_ASSOC_TEST_CHAOS_NIGHTS (``make chaos``).
"""

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from stream_assoc.tools.embedded.valkey import EmbeddedValkey
from tests.chaos.disks import FileSystem, MountError, file_system
from tests.chaos.nights import Night, more_than, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

N_NIGHTS = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_NIGHTS", "1"))

TIMES_FULL = 2

DISK_MIB = 32

LARGEST_FILE_BYTES = 256 * 1024
"""More than the daemon logs, less than the database and its write-ahead log come to."""

SPARE_BYTES = 16 * 1024
"""What Valkey may hold beyond what it holds when it begins to evict: less than one batch writes."""


class Limit:
    """A limit on the size of files: EFBIG. It needs no privileges, so it works wherever the tests run.

    SQLite calls it an I/O error. Python ignores the signal that comes with it.
    """

    complaint = "see that its file system has space"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, process: subprocess.Popen[bytes]) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, self._usual[1]))

    def free(self, process: subprocess.Popen[bytes]) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, self._usual)


@pytest.fixture(params=["file system", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileSystem | Limit]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        yield Limit(folder)
        return
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(file_system(folder, DISK_MIB))
        except MountError as error:
            pytest.skip(str(error))


@pytest.mark.parametrize("seed", range(N_NIGHTS))
def test_the_disk_of_sqlite_is_full_and_has_space_again(
    kafka_bootstrap: str, valkey_url: str, disk: FileSystem | Limit, expected: Outcome, tmp_path: Path, seed: int
) -> None:
    random = np.random.default_rng(seed)
    night = night_on(kafka_bootstrap, valkey_url, f"sqlite:///{disk.folder / 'apdb.sqlite3'}", tmp_path)
    with night.life() as process:
        for _ in range(TIMES_FULL):
            night.come_to_work(process, random)
            fails_again = more_than(night.n_failures(), night.n_failures)
            disk.fill(process)
            night.deployment.wait_until(fails_again)
            disk.free(process)
        night.finish_life(process)
    assert disk.complaint in night.log.read_text()
    assert_nothing_shows(night.outcome(), expected)


def forget(valkey: redis.Redis, night: Night) -> None:
    """Lose everything, as by FLUSHALL."""
    assert valkey.flushall()


def refuse(valkey: redis.Redis, night: Night) -> None:
    """Take no writes for want of memory, until the daemon has noticed."""
    noticed = night.n_failures()
    valkey.config_set("maxmemory-policy", "noeviction")
    valkey.config_set("maxmemory", 1)
    night.deployment.wait_until(lambda: night.n_failures() > noticed)
    valkey.config_set("maxmemory", 0)


def evict(valkey: redis.Redis, night: Night) -> None:
    """From now on, throw something away for whatever is kept."""
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    valkey.config_set("maxmemory", valkey.info("memory")["used_memory"] + SPARE_BYTES)
    night.deployment.wait_until(lambda: valkey.info("stats")["evicted_keys"] > 0)


@pytest.mark.parametrize("mishaps", [(forget, forget, refuse, forget), (evict, forget)], ids=["refuse", "evict"])
@pytest.mark.parametrize("seed", range(N_NIGHTS))
def test_valkey_forgets_refuses_and_evicts(
    kafka_bootstrap: str,
    postgresql_database: str,
    mishaps: tuple[Callable[[redis.Redis, Night], None], ...],
    expected: Outcome,
    tmp_path: Path,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    with EmbeddedValkey() as server, contextlib.closing(redis.Redis.from_url(server.url)) as valkey:
        night = night_on(kafka_bootstrap, server.url, postgresql_database, tmp_path)
        with night.life() as process:
            for mishap in mishaps:
                night.come_to_work(process, random)
                mishap(valkey, night)
            night.finish_life(process)
        # What is compared is read through the cache, with what is left in it.
        assert_nothing_shows(night.outcome(), expected)
