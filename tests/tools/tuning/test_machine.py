"""Amounts of memory, and what limits leave of a machine."""

import os
from pathlib import Path

import pytest

from stream_assoc.tools.tuning.machine import GIB, MIB, Build, Machine, bytes_of, cpus_here, memory_here

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
AVAILABLE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("64GiB", 64 * GIB),
        ("64GB", 64 * GIB),
        ("64Gi", 64 * GIB),
        ("64g", 64 * GIB),
        (" 512MiB ", 512 * MIB),
        ("1.5GiB", 1536 * MIB),
        ("1048576kB", GIB),
        ("1TiB", 1024 * GIB),
        ("1073741824", GIB),
    ],
)
def test_amounts(text: str, n_bytes: int) -> None:
    assert bytes_of(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1e9", "64 PiB", "64GiBs", "six", "٦GiB", "1,5GiB"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 64GiB"):
        bytes_of(text)


@pytest.mark.parametrize(
    ("files", "memory", "cpus"),
    [
        ({}, PHYSICAL, AVAILABLE),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n"}, PHYSICAL, AVAILABLE),
        ({"memory.max": f"{600 * MIB}\n", "cpu.max": "150000 100000\n"}, 600 * MIB, min(2, AVAILABLE)),
        ({"cpu.max": "50000 100000\n"}, PHYSICAL, 1),
        ({"cpu.max": "100000000 100000\n"}, PHYSICAL, AVAILABLE),
        # The first version of control groups.
        (
            {
                "memory/memory.limit_in_bytes": f"{700 * MIB}\n",
                "cpu/cpu.cfs_quota_us": "20000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            700 * MIB,
            1,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            PHYSICAL,
            AVAILABLE,
        ),
    ],
)
def test_limits_of_a_container_count(files: dict[str, str], memory: int, cpus: int, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert (memory_here(tmp_path), cpus_here(tmp_path)) == (memory, cpus)


def test_what_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="512 MiB"):
        Machine(511 * MIB, 1)
    with pytest.raises(ValueError, match="one processor"):
        Machine(GIB, 0)
    with pytest.raises(ValueError, match="14 or later"):
        Build(13)
