"""What is advised fits the machine, whatever its size."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stream_assoc.tools.tuning.advice import (
    SESSIONS_OF_A_DAEMON,
    Advised,
    advise,
    amount,
    max_wal_size,
    shared_buffers,
)
from stream_assoc.tools.tuning.machine import GIB, MIB, Build, Disk, Load, Machine, bytes_of

AMOUNTS = (
    "shared_buffers",
    "effective_cache_size",
    "work_mem",
    "maintenance_work_mem",
    "autovacuum_work_mem",
    "max_wal_size",
    "min_wal_size",
    "wal_buffers",
)

machines = st.builds(
    Machine,
    memory=st.integers(GIB, 4096 * GIB),
    cpus=st.integers(1, 512),
    disk=st.sampled_from(Disk),
)
loads = st.builds(Load, n_daemons=st.integers(1, 14), cells_each=st.integers(1, 100_000))
builds = st.builds(Build, version=st.integers(14, 20), has_lz4=st.booleans())


def values(settings: tuple[Advised, ...]) -> dict[str, str]:
    return {one.name: one.value for one in settings}


@given(machines, loads, builds)
def test_what_is_used_at_once_is_less_than_the_machine(machine: Machine, load: Load, build: Build) -> None:
    of = values(advise(machine, load, build))
    at_once = (
        bytes_of(of["shared_buffers"])
        + bytes_of(of["wal_buffers"])
        + bytes_of(of["maintenance_work_mem"])
        + int(of["autovacuum_max_workers"]) * bytes_of(of["autovacuum_work_mem"])
        + SESSIONS_OF_A_DAEMON * load.n_daemons * bytes_of(of["work_mem"])
    )
    assert at_once <= machine.memory * 5 // 8
    assert bytes_of(of["shared_buffers"]) <= bytes_of(of["effective_cache_size"]) <= machine.memory


@given(machines, machines, loads, builds)
def test_more_memory_makes_nothing_smaller(one: Machine, other: Machine, load: Load, build: Build) -> None:
    other = replace(one, memory=other.memory)
    small, large = (
        values(advise(machine, load, build)) for machine in sorted((one, other), key=lambda machine: machine.memory)
    )
    assert all(bytes_of(small[name]) <= bytes_of(large[name]) for name in AMOUNTS)
    assert {name for name in small if small[name] != large[name]} <= set(AMOUNTS)


@given(machines, loads, builds)
def test_daemons_find_sessions_and_locks(machine: Machine, load: Load, build: Build) -> None:
    of = values(advise(machine, load, build))
    sessions = int(of["max_connections"])
    assert sessions >= SESSIONS_OF_A_DAEMON * load.n_daemons + 40
    assert sessions * int(of["max_locks_per_transaction"]) >= 2 * load.n_daemons * load.cells_each


@given(machines, loads, builds)
def test_a_commit_is_never_less_than_durable(machine: Machine, load: Load, build: Build) -> None:
    of = values(advise(machine, load, build))
    assert {of[name] for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")} == {"on"}


@given(machines, loads, builds)
def test_each_setting_is_given_once_with_a_reason(machine: Machine, load: Load, build: Build) -> None:
    settings = advise(machine, load, build)
    assert len({one.name for one in settings}) == len(settings)
    assert all(one.why.endswith(".") for one in settings)
    groups = [one.group for one in settings]
    assert groups == sorted(groups, key=groups.index), "a group is in one piece"


@pytest.mark.parametrize("tebibytes", [1, 16, 22, 64, 10**6])
def test_a_server_of_any_memory_starts(tebibytes: int) -> None:
    machine = Machine(tebibytes * 1024 * GIB, 10**6)
    for one in advise(machine, Load(), Build(18, has_lz4=True)):
        if one.value.endswith(("MB", "GB")):
            # Pages, or kB, in 31 bits.
            unit = 8 << 10 if one.name in {"shared_buffers", "effective_cache_size", "wal_buffers"} else 1 << 10
            assert bytes_of(one.value) // unit < 2**31, one.name


def test_a_machine_of_the_least_memory_is_advised() -> None:
    of = values(advise(Machine(512 * MIB, 1), Load(), Build()))
    assert bytes_of(of["shared_buffers"]) == 128 * MIB


@pytest.mark.parametrize("n_daemons", [15, 1000])
def test_more_daemons_than_fit_are_refused(n_daemons: int) -> None:
    with pytest.raises(ValueError, match=f"sessions of {n_daemons} daemons need a machine of"):
        advise(Machine(GIB, 1), Load(n_daemons), Build())


def test_the_version_and_the_build_count() -> None:
    machine, load = Machine(8 * GIB, 16), Load()
    assert "io_workers" not in values(advise(machine, load, Build(17)))
    assert values(advise(machine, load, Build(18)))["io_workers"] == "4"
    assert values(advise(machine, load, Build(14)))["wal_compression"] == "off"
    assert values(advise(machine, load, Build(15, has_lz4=True)))["wal_compression"] == "lz4"


def test_the_disk_counts() -> None:
    ssd, hdd = (values(advise(Machine(8 * GIB, 4, disk), Load(), Build())) for disk in (Disk.SSD, Disk.HDD))
    assert float(ssd["random_page_cost"]) < float(hdd["random_page_cost"])
    assert int(ssd["effective_io_concurrency"]) > int(hdd["effective_io_concurrency"])
    assert int(ssd["autovacuum_vacuum_cost_limit"]) > int(hdd["autovacuum_vacuum_cost_limit"])


def test_known_sizes() -> None:
    sizes = [Machine(n * GIB, 2) for n in (1, 8, 64, 1024)]
    assert [amount(shared_buffers(machine)) for machine in sizes] == ["256MB", "2GB", "16GB", "32GB"]
    assert [amount(max_wal_size(machine)) for machine in sizes] == ["2GB", "4GB", "16GB", "16GB"]
