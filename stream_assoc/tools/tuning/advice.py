"""Which settings of PostgreSQL suit a machine: a pure function, with the reason of each.

Nothing here changes what is stored or published. docs/performance.md, "PostgreSQL's settings",
has the measurements that the reasons speak of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stream_assoc.tools.tuning.machine import GIB, MIB, Build, Disk, Load, Machine

SESSIONS_OF_A_DAEMON: Final = 6
"""What docs/security.md asks of a pool between a daemon and the server."""

OTHER_SESSIONS: Final = 40
"""Left for dashboards, administrators, replicators and the server's own reserve."""

_SESSION_MEMORY: Final = 4 * MIB
"""Of the process of each, whatever it does."""

_MOST_CACHED: Final = 8192 * GIB
"""The server counts pages of 8 kB in 31 bits, and does not start where a setting has more."""

_DEFAULT_CONNECTIONS: Final = 100
_DEFAULT_LOCKS: Final = 64

SAFETY: Final = "What a commit promises"
MEMORY: Final = "Memory"
LOG: Final = "The write-ahead log and checkpoints"
PLANS: Final = "Plans and reading"
VACUUM: Final = "Autovacuum"
SESSIONS: Final = "Sessions and locks"


@dataclass(frozen=True, slots=True)
class Advised:
    """A setting of PostgreSQL.

    Attributes
    ----------
    group : `str`
        What it belongs to, for a reader.
    name, value : `str`
        As PostgreSQL spells them.
    why : `str`
        The reason, a sentence or two.
    """

    group: str
    name: str
    value: str
    why: str


def advise(machine: Machine, load: Load, build: Build) -> tuple[Advised, ...]:
    """Return the settings for a server on this machine, in groups.

    Parameters
    ----------
    machine : `Machine`
        What PostgreSQL may use; what runs beside it is not counted.
    load : `Load`
    build : `Build`

    Raises
    ------
    ValueError
        If the machine has no memory for the sessions of so many daemons.

    Notes
    -----
    More memory never makes an amount smaller, and what is asked for at once
    is less than the memory: a quarter for the shared buffers, an eighth for all sorts,
    an eighth for maintenance.
    """
    _check_fits(machine, load)
    groups = {
        SAFETY: _safety(),
        MEMORY: _memory(machine, load),
        LOG: _log(machine, build),
        PLANS: _plans(machine, build),
        VACUUM: _vacuum(machine),
        SESSIONS: _sessions(load),
    }
    return tuple(Advised(group, *setting) for group, settings in groups.items() for setting in settings)


def shared_buffers(machine: Machine) -> int:
    """Return the bytes that the server should keep of the tables itself."""
    return _between(128 * MIB, machine.memory // 4, 32 * GIB)


def max_wal_size(machine: Machine) -> int:
    """Return the bytes of log after which the server begins a checkpoint before its time."""
    return _between(2 * GIB, machine.memory // 2, 16 * GIB)


def connections(load: Load) -> int:
    """Return how many sessions the server needs room for."""
    return max(_DEFAULT_CONNECTIONS, _sessions_of(load))


def _check_fits(machine: Machine, load: Load) -> None:
    needed = 2 * _SESSION_MEMORY * _sessions_of(load)
    if machine.memory < needed:
        raise ValueError(
            f"the sessions of {load.n_daemons} daemons need a machine of {amount(needed)} or more: give PostgreSQL "
            "more memory, or run fewer daemons"
        )


def _sessions_of(load: Load) -> int:
    return OTHER_SESSIONS + SESSIONS_OF_A_DAEMON * load.n_daemons


Setting = tuple[str, str, str]


def _safety() -> Iterator[Setting]:
    yield "fsync", "on", "Off, a crash of the machine may destroy the whole database."
    yield (
        "full_page_writes",
        "on",
        "Off, a page that was half written when the machine crashed stays broken.",
    )
    yield (
        "synchronous_commit",
        "on",
        "What subscribers have been sent must be in the APDB after a crash: this makes exactly once. A daemon "
        "turns `off` on for its own sessions; other programs do not.",
    )


def _memory(machine: Machine, load: Load) -> Iterator[Setting]:
    yield (
        "shared_buffers",
        amount(shared_buffers(machine)),
        "A quarter of the memory. The rest serves as the kernel's page cache, which holds the tables too. With 128 "
        "MB a visit of 10,000 sources wrote 20,000 pages itself to make room for others, with 2 GB none.",
    )
    yield "huge_pages", "try", "Used where the kernel has reserved some (vm.nr_hugepages); nothing is lost if not."
    yield (
        "effective_cache_size",
        amount(min(machine.memory * 3 // 4, _MOST_CACHED)),
        "Takes no memory: it tells the planner how much of the tables is likely to be cached.",
    )
    yield (
        "work_mem",
        amount(_between(MIB, machine.memory // 8 // _sessions_of(load), 64 * MIB)),
        "For each sort and hash table of a session. All sessions together stay below an eighth of the memory.",
    )
    yield (
        "maintenance_work_mem",
        amount(_between(32 * MIB, machine.memory // 16, 2 * GIB)),
        "For an index that `apdb init` builds, and for VACUUM by hand.",
    )
    yield (
        "autovacuum_work_mem",
        amount(_between(16 * MIB, machine.memory // 16 // _workers(machine), GIB)),
        "For each worker of autovacuum. Large enough to pass through an index once, not several times.",
    )


def _log(machine: Machine, build: Build) -> Iterator[Setting]:
    yield (
        "max_wal_size",
        amount(max_wal_size(machine)),
        "A checkpoint begins early when so much has been logged, and the first change of each page after it logs the "
        "whole page: with the default of 1 GB three quarters of the log. The disk needs as much room for it.",
    )
    yield (
        "min_wal_size",
        amount(max_wal_size(machine) // 4),
        "So much of the log's files is used again instead of made anew.",
    )
    yield (
        "checkpoint_timeout",
        "15min",
        "Fewer checkpoints, fewer whole pages in the log: 27 MB a visit instead of 74, with max_wal_size. Starting "
        "after a crash takes as long as reading what was logged since the last.",
    )
    yield (
        "checkpoint_completion_target",
        "0.9",
        "A checkpoint writes over nine tenths of that time, so that no visit waits for the disk.",
    )
    yield (
        "wal_compression",
        "lz4" if build.has_lz4 else "off",
        "LZ4 makes whole pages in the log about half as large and takes hardly any time."
        if build.has_lz4
        else "`lz4` makes whole pages in the log about half as large, where the server was built with it. pglz, "
        "which every server has, costs a visit most of a second.",
    )
    yield (
        "wal_buffers",
        amount(_between(4 * MIB, machine.memory // 128, 64 * MIB)),
        "A visit of 10,000 sources logs tens of megabytes in one transaction. With the default its session found no "
        "room 4,000 times and had to write to the file itself.",
    )


def _plans(machine: Machine, build: Build) -> Iterator[Setting]:
    is_ssd = machine.disk is Disk.SSD
    yield (
        "random_page_cost",
        "1.1" if is_ssd else "4",
        "On an SSD a page anywhere costs about as much as the next one."
        if is_ssd
        else "PostgreSQL's default, made for disks that turn.",
    )
    yield (
        "effective_io_concurrency",
        "200" if is_ssd else "4",
        "How many pages a scan asks the disk for ahead of reading them.",
    )
    yield (
        "jit",
        "off",
        "Compiling a statement costs more than it saves where some ten thousand rows are read by key. Daemons turn "
        "it off for themselves; this is for all other readers.",
    )
    if build.version >= 18:
        yield "io_method", "worker", "The default, which works everywhere; io_uring was not measured."
        yield (
            "io_workers",
            str(_between(3, machine.cpus // 4, 16)),
            "Processes that read pages ahead: a quarter of the processors.",
        )


def _vacuum(machine: Machine) -> Iterator[Setting]:
    yield (
        "autovacuum",
        "on",
        "Without it dead rows stay, and the server stops when its transaction ids end.",
    )
    yield "track_counts", "on", "Autovacuum finds by these counts where there is something to do."
    yield "autovacuum_max_workers", str(_workers(machine)), "One of the large tables must not hold up the small ones."
    yield (
        "autovacuum_vacuum_cost_limit",
        "2000" if machine.disk is Disk.SSD else "400",
        "All workers together; the default of 200 lets a billion rows take days.",
    )
    yield (
        "autovacuum_vacuum_scale_factor",
        "0.05",
        "Outbox and tiles are changed by every visit: cleaned at a twentieth of dead rows, not at a fifth.",
    )
    yield (
        "autovacuum_vacuum_insert_scale_factor",
        "0.05",
        "Sources are added and hardly ever changed. Freezing them in small steps, while their pages are cached, "
        "avoids one long pass over the whole table.",
    )
    yield (
        "autovacuum_analyze_scale_factor",
        "0.02",
        "The planner learns soon how large a table has become.",
    )


def _sessions(load: Load) -> Iterator[Setting]:
    n = connections(load)
    yield (
        "max_connections",
        str(n),
        f"{SESSIONS_OF_A_DAEMON} for each daemon, and {OTHER_SESSIONS} or more for dashboards, administrators and "
        "replicators.",
    )
    locks = -(-2 * load.n_daemons * load.cells_each // n)
    yield (
        "max_locks_per_transaction",
        str(max(_DEFAULT_LOCKS, locks)),
        f"Each cell of the sky that a daemon holds is a lock. {load.n_daemons} daemons may hold {load.cells_each} "
        "each, at most half of the table that all sessions share.",
    )
    yield (
        "idle_in_transaction_session_timeout",
        "30min",
        "A session that was left open in a transaction keeps autovacuum from removing what is dead since. Daemons "
        "and inspections set their own.",
    )


def _workers(machine: Machine) -> int:
    return _between(3, machine.cpus // 4, 8)


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def amount(n_bytes: int) -> str:
    """Return an amount of memory as PostgreSQL writes it, in whole megabytes or gigabytes."""
    return f"{n_bytes // GIB}GB" if n_bytes % GIB == 0 else f"{n_bytes // MIB}MB"
