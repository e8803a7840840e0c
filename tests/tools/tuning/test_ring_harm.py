"""Which settings of a ring are warned of, and which are not."""

from dataclasses import replace

import pytest

from stream_assoc.stores.apdb.ring import ApdbRing
from stream_assoc.tools.tuning.ring_harm import ring_harms

NOW = 61_000.0
GOOD = {"commitlog_sync": "group", "batch_size_fail_threshold": "1MiB"}
SOUND = ApdbRing({"here": 3, "there": 5}, True, {"n1": GOOD, "n2": GOOD}, {}, {"DiaSource": 86_400}, NOW + 60.0)


def test_nothing_is_said_of_a_sound_ring() -> None:
    assert ring_harms(SOUND, NOW) == ()


def test_nothing_is_said_of_what_a_ring_does_not_tell() -> None:
    assert ring_harms(ApdbRing({}, True, {"n1": {}}, {}, {}, None), NOW) == ()


@pytest.mark.rules("SyncBeforeAcknowledging")
def test_what_loses_data_comes_first_and_names_its_nodes() -> None:
    late = {"n3": GOOD | {"commitlog_sync": "periodic"}, "n2": GOOD | {"commitlog_sync": "periodic"}}
    ring = replace(SOUND, replication_factors={"here": 2}, settings={**SOUND.settings, **late})
    assert [(harm.setting, harm.found, harm.loses_data) for harm in ring_harms(ring, NOW)] == [
        ("commitlog_sync of n2, n3", "periodic", True),
        ("replication factor in here", "2", False),
    ]


def test_a_keyspace_without_a_commit_log_loses_data() -> None:
    (harm,) = ring_harms(replace(SOUND, has_durable_writes=False), NOW)
    assert (harm.setting, harm.found, harm.loses_data) == ("durable_writes of the keyspace", "false", True)


def test_rows_that_vanish_lose_data() -> None:
    (harm,) = ring_harms(replace(SOUND, lives_of_tables={"DiaSource": 60}), NOW)
    assert (harm.setting, harm.found, harm.loses_data) == ("DiaSource.default_time_to_live", "60 s", True)


def test_deleted_rows_that_come_back_are_told() -> None:
    (harm,) = ring_harms(replace(SOUND, gc_graces={"DiaObject": 864_000, "DiaSource": 3600}), NOW)
    assert (harm.setting, harm.found, harm.loses_data) == ("DiaSource.gc_grace_seconds", "3600 s", True)


@pytest.mark.parametrize("limit", ["50KiB", "976KiB", "999999B", "0"])
def test_batches_that_a_node_refuses_are_warned_of(limit: str) -> None:
    small = GOOD | {"batch_size_fail_threshold": limit}
    (harm,) = ring_harms(replace(SOUND, settings={"n1": GOOD, "n2": small}), NOW)
    assert (harm.setting, harm.found) == ("batch_size_fail_threshold of n2", limit)


@pytest.mark.parametrize("limit", ["977KiB", "1000000", "1GiB", "as many as there are"])
def test_batches_that_fit_are_not(limit: str) -> None:
    assert ring_harms(replace(SOUND, settings={"n1": GOOD | {"batch_size_fail_threshold": limit}}), NOW) == ()


@pytest.mark.parametrize(("end", "found"), [(59.5, "end in 60 days"), (0.0, "have ended"), (-9.0, "have ended")])
def test_tables_that_end_soon_are_warned_of(end: float, found: str) -> None:
    (harm,) = ring_harms(replace(SOUND, time_partitions_end=NOW + end), NOW)
    assert (harm.setting, harm.found) == ("tables of time partitions", found)
    assert "extend-temporal" in harm.reason
