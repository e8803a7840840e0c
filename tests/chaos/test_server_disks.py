"""The disk of a server is full while the daemon works, and has space again: the night comes out the same."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import redis

from stream_assoc.tools.embedded import EmbeddedKafka, EmbeddedPostgresql, EmbeddedValkey
from tests.chaos.disks import FileSystem, MountError, file_system
from tests.chaos.nights import Night, more_than, night_on
from tests.chaos.outcome import Outcome, assert_nothing_shows
from tests.services import ServiceUnavailableError, kafka_jars

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

IS_LONG = int(os.environ.get("STREAM_ASSOC_TEST_CHAOS_NIGHTS", "1")) > 1

DISK_MIB = 256


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileSystem]:
    """Where servers that are made in this test keep everything."""
    with contextlib.ExitStack() as stack:
        # PostgreSQL runs as another user, who cannot reach the test's own folder.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="disk_")))
        folder.chmod(0o755)
        try:
            disk = stack.enter_context(file_system(folder, DISK_MIB))
        except MountError as error:
            pytest.skip(str(error))
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield disk


def test_postgresql_has_no_space(
    kafka_bootstrap: str, valkey_url: str, disk: FileSystem, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedPostgresql() as server:
        night = night_on(kafka_bootstrap, valkey_url, server.url, tmp_path)
        live_through_a_full_disk(night, disk)
        assert "its disk is full: free space there" in night.log.read_text()
        assert_nothing_shows(night.outcome(), expected)


@pytest.mark.skipif(not IS_LONG, reason="make chaos runs it")
def test_kafka_has_no_space(
    valkey_url: str, postgresql_database: str, disk: FileSystem, expected: Outcome, tmp_path: Path
) -> None:
    try:
        jars = kafka_jars()
    except ServiceUnavailableError as error:
        pytest.skip(str(error))
    with EmbeddedKafka(jars) as broker:
        night = night_on(broker.bootstrap_servers, valkey_url, postgresql_database, tmp_path)
        # A broker halts when it cannot write to any of its folders.
        live_through_a_full_disk(night, disk, (broker.kill, broker.start))
        assert_nothing_shows(night.outcome(), expected)


@pytest.mark.skipif(not IS_LONG, reason="make chaos runs it")
def test_valkey_has_no_space(
    kafka_bootstrap: str, postgresql_database: str, disk: FileSystem, expected: Outcome, tmp_path: Path
) -> None:
    with EmbeddedValkey() as server, contextlib.closing(redis.Redis.from_url(server.url)) as valkey:
        # Ours keeps nothing unless it is told to.
        valkey.config_set("appendonly", "yes")
        night = night_on(kafka_bootstrap, server.url, postgresql_database, tmp_path)
        live_through_a_full_disk(night, disk)
        assert "free space on its disk" in night.log.read_text()
        assert_nothing_shows(night.outcome(), expected)


def live_through_a_full_disk(night: Night, disk: FileSystem, mending: Sequence[Callable[[], None]] = ()) -> None:
    """Leave no space on the disk until the daemon has met that, mend it, and let it finish."""
    with night.life() as process:
        night.come_to_work(process, np.random.default_rng(1))
        fails_again = more_than(night.n_failures(), night.n_failures)
        disk.fill()
        night.deployment.wait_until(fails_again)
        disk.free()
        for step in mending:
            step()
        night.finish_life(process)
