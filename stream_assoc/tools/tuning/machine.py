"""The machine that PostgreSQL runs on, and what daemons ask of it."""

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

LEAST_MEMORY: Final = 512 * MIB

OLDEST_VERSION: Final = 14
"""Of PostgreSQL: the oldest whose settings are known here. What suits it, later versions take too."""

_UNITS: Final = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": 1 << 40}
_MEMORY: Final = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:i?b?)", re.ASCII | re.IGNORECASE)

_CGROUPS: Final = Path("/sys/fs/cgroup")


class Disk(Enum):
    """What the database is stored on."""

    SSD = "ssd"
    HDD = "hdd"


@dataclass(frozen=True, slots=True)
class Machine:
    """What PostgreSQL may use of a machine.

    Attributes
    ----------
    memory : `int`
        Bytes, the page cache included.
    cpus : `int`
        Processors.
    disk : `Disk`
    """

    memory: int
    cpus: int
    disk: Disk = Disk.SSD

    def __post_init__(self) -> None:
        if self.memory < LEAST_MEMORY:
            raise ValueError(f"PostgreSQL needs {LEAST_MEMORY // MIB} MiB of memory or more for an APDB")
        if self.cpus < 1:
            raise ValueError("a machine has one processor or more")


@dataclass(frozen=True, slots=True)
class Load:
    """What daemons ask of the server.

    Attributes
    ----------
    n_daemons : `int`
        That run on one server.
    cells_each : `int`
        Locks that one of them may hold at once, ``daemon.micro_batch_cells``.
    """

    n_daemons: int = 2
    cells_each: int = 2000


@dataclass(frozen=True, slots=True)
class Build:
    """What is known of the server's program.

    Attributes
    ----------
    version : `int`
        Major version. What is advised suits all later ones too.
    has_lz4 : `bool`
        Whether it can compress its log with LZ4.
    """

    version: int = OLDEST_VERSION
    has_lz4: bool = False

    def __post_init__(self) -> None:
        if self.version < OLDEST_VERSION:
            raise ValueError(f"what suits PostgreSQL {self.version} is not known; it needs {OLDEST_VERSION} or later")


def bytes_of(text: str) -> int:
    """Return an amount of memory such as ``64GiB``; GB, Gi and G mean the same, as they do for PostgreSQL.

    Raises
    ------
    ValueError
        If the text is none.
    """
    found = _MEMORY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no amount of memory; write it as 64GiB or 512MiB")
    return round(float(found[1]) * _UNITS[found[2].lower()])


def memory_here(cgroups: Path = _CGROUPS) -> int:
    """Return the bytes of this machine's memory, or what a container's limit leaves of it.

    Parameters
    ----------
    cgroups : `~pathlib.Path`
        Where the kernel shows the limits.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([memory, *_limits(cgroups, "memory.max", "memory/memory.limit_in_bytes")])


def cpus_here(cgroups: Path = _CGROUPS) -> int:
    """Return the processors of this machine, or what a container's limit leaves of them; see `memory_here`."""
    return min([len(os.sched_getaffinity(0)), *_cpu_limits(cgroups)])


def _limits(cgroups: Path, *names: str) -> list[int]:
    texts = [(cgroups / name).read_text(encoding="ascii").strip() for name in names if (cgroups / name).is_file()]
    return [int(text) for text in texts if text.isdecimal()]


def _cpu_limits(cgroups: Path) -> list[int]:
    """Return the quota of processors, rounded up, of either version of control groups."""
    if (cgroups / "cpu.max").is_file():
        quota, period = (cgroups / "cpu.max").read_text(encoding="ascii").split()
        return [] if quota == "max" else [-(-int(quota) // int(period))]
    quotas = _limits(cgroups, "cpu/cpu.cfs_quota_us")
    periods = _limits(cgroups, "cpu/cpu.cfs_period_us")
    return [-(-quota // period) for quota, period in zip(quotas, periods, strict=False) if quota > 0]
