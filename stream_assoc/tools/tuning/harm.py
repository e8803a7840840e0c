"""What of a server's settings would hurt an APDB: a pure function of what the server tells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stream_assoc.stores.apdb.server import ApdbServer
from stream_assoc.tools.tuning.advice import (
    OTHER_SESSIONS,
    SESSIONS_OF_A_DAEMON,
    amount,
    max_wal_size,
    shared_buffers,
)
from stream_assoc.tools.tuning.machine import GIB, KIB, MIB, Load, Machine

LEAST_SHARED_BUFFERS: Final = 128 * MIB
LEAST_WAL_SIZE: Final = 2 * GIB
LEAST_CHECKPOINT_SECONDS: Final = 300
LEAST_STATEMENT_SECONDS: Final = 60
MOST_FULL: Final = 70
"""Per cent of a page of DiaObject that are filled at once, of which a changed row still finds room."""

_UNITS: Final = {"B": 1, "kB": KIB, "MB": MIB, "GB": GIB, "ms": 0.001, "s": 1, "min": 60}


@dataclass(frozen=True, slots=True)
class Harm:
    """A setting that hurts.

    Attributes
    ----------
    setting : `str`
        Its name; that of a table and its option where it is one.
    found, advised : `str`
        Values, as the server writes them.
    reason : `str`
        What it does.
    loses_data : `bool`
        Whether a crash may lose, or damage, what daemons have committed.
    """

    setting: str
    found: str
    advised: str
    reason: str
    loses_data: bool = False


def harms(server: ApdbServer, load: Load, machine: Machine | None = None) -> tuple[Harm, ...]:
    """Return what hurts, what loses data first.

    Parameters
    ----------
    server : `ApdbServer`
    load : `Load`
        Of the daemons that are to use it.
    machine : `Machine`, optional
        That the server runs on. Where it is not known, only what would hurt on any is found.
    """
    known = _Settings(server)
    found = [
        *_losses(server),
        *_refusals(server, known),
        *_vacuum(server),
        *_amounts(known, machine),
        *_compression(server),
        *_waits(known),
        *_sessions(known, load),
        *_room(server.table_options),
    ]
    return tuple(sorted(found, key=lambda one: not one.loses_data))


class _Settings:
    """Settings as numbers, where the server tells them to this user."""

    def __init__(self, server: ApdbServer) -> None:
        self._settings = server.settings

    def number(self, name: str) -> float | None:
        """Return a setting in bytes, seconds, or as it is where it has no unit."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        return float(setting.value) * _factor(setting.unit)

    def shown(self, name: str) -> str:
        return self._settings[name].shown

    def is_off(self, name: str) -> bool:
        return name in self._settings and self._settings[name].value == "off"


def _factor(unit: str | None) -> float:
    """Return bytes or seconds of a unit such as ``8kB``."""
    if unit is None:
        return 1
    word = unit.lstrip("0123456789")
    return int(unit.removesuffix(word) or 1) * _UNITS[word]


def _losses(server: ApdbServer) -> Iterator[Harm]:
    settings = server.settings
    for name, wanted, reason in _PROMISES:
        if name in settings and settings[name].value != wanted:
            yield Harm(name, settings[name].shown, wanted, reason, loses_data=True)
    for table in server.unlogged_tables:
        yield Harm(
            f"table {table}",
            "UNLOGGED",
            f'ALTER TABLE "{table}" SET LOGGED',
            "the server empties it after a crash, and no standby and no backup has its rows",
            loses_data=True,
        )
    if "synchronous_commit" in settings and settings["synchronous_commit"].value == "off":
        yield Harm(
            "synchronous_commit",
            "off",
            "on",
            "a crash may lose what other programs have just committed; daemons turn it on for their own sessions",
        )
    if server.asynchronous_standbys:
        yield Harm(
            "synchronous_standby_names",
            f"no commit waits for {', '.join(server.asynchronous_standbys)}",
            "names of standbys, and synchronous_commit on",
            "a standby that is promoted may lack batches whose outputs subscribers have been sent",
        )


_PROMISES: Final = (
    (
        "fsync",
        "on",
        "a crash of the machine may destroy the database, and with it what subscribers have been sent",
    ),
    (
        "full_page_writes",
        "on",
        "a page that is half written when the machine crashes stays broken, unless the storage writes pages whole",
    ),
    ("zero_damaged_pages", "off", "a damaged page is emptied without an error, and its rows are gone"),
    ("ignore_checksum_failure", "off", "damaged pages are read as if they were right, and written back"),
)


def _refusals(server: ApdbServer, known: _Settings) -> Iterator[Harm]:
    if server.is_standby:
        yield Harm(
            "apdb.url", "a standby", "the primary", "a standby takes no writes, so that a daemon cannot work with it"
        )
    elif "default_transaction_read_only" in server.settings and not known.is_off("default_transaction_read_only"):
        yield Harm(
            "default_transaction_read_only",
            "on",
            "off",
            "a daemon cannot store anything; hosted servers turn it on when their disk is full",
        )


def _vacuum(server: ApdbServer) -> Iterator[Harm]:
    for name, reason in (
        ("autovacuum", "dead versions of rows stay, visits get slower, and transaction ids run out"),
        ("track_counts", "autovacuum does not learn where there is something to do"),
    ):
        if name in server.settings and server.settings[name].value == "off":
            yield Harm(name, "off", "on", reason)
    for table, options in server.table_options.items():
        if options.get("autovacuum_enabled", "on").lower() in {"off", "false", "no", "0"}:
            yield Harm(
                f"autovacuum_enabled of {table}",
                options["autovacuum_enabled"],
                f'ALTER TABLE "{table}" RESET (autovacuum_enabled)',
                "its dead rows stay, and its statistics grow old",
            )


def _amounts(known: _Settings, machine: Machine | None) -> Iterator[Harm]:
    buffers = known.number("shared_buffers")
    advised = None if machine is None else shared_buffers(machine)
    if buffers is not None and buffers < max(LEAST_SHARED_BUFFERS, 0 if advised is None else advised // 2):
        yield Harm(
            "shared_buffers",
            known.shown("shared_buffers"),
            "a quarter of the server's memory" if advised is None else amount(advised),
            "pages that visits change do not stay in memory until the next checkpoint, and are written several times",
        )
    if buffers is not None and machine is not None and buffers > machine.memory // 2:
        yield Harm(
            "shared_buffers",
            known.shown("shared_buffers"),
            amount(shared_buffers(machine)),
            "more than half of the memory leaves little for sessions and for the kernel's page cache",
        )
    log = known.number("max_wal_size")
    if log is not None and log < LEAST_WAL_SIZE:
        yield Harm(
            "max_wal_size",
            known.shown("max_wal_size"),
            "2GB or more" if machine is None else amount(max_wal_size(machine)),
            "a checkpoint begins every few visits, and the first change of each page after one logs the whole page",
        )
    timeout = known.number("checkpoint_timeout")
    if timeout is not None and timeout < LEAST_CHECKPOINT_SECONDS:
        yield Harm(
            "checkpoint_timeout",
            known.shown("checkpoint_timeout"),
            "15min",
            "the first change of each page after a checkpoint logs the whole page",
        )


def _compression(server: ApdbServer) -> Iterator[Harm]:
    method = server.settings.get("wal_compression")
    if method is not None and method.value in {"on", "pglz"}:
        yield Harm(
            "wal_compression",
            method.shown,
            "lz4" if "lz4" in method.choices else "off",
            "pglz takes most of a second of a visit's session to compress whole pages of the log",
        )


def _waits(known: _Settings) -> Iterator[Harm]:
    for name in ("statement_timeout", "transaction_timeout"):
        seconds = known.number(name)
        if seconds is not None and 0 < seconds < LEAST_STATEMENT_SECONDS:
            yield Harm(
                name,
                known.shown(name),
                "0 for the daemons' user",
                "a batch that takes longer is ended by the server, and begun again without end",
            )


def _sessions(known: _Settings, load: Load) -> Iterator[Harm]:
    sessions, locks = known.number("max_connections"), known.number("max_locks_per_transaction")
    needed = OTHER_SESSIONS // 4 + SESSIONS_OF_A_DAEMON * load.n_daemons
    if sessions is not None and sessions < needed:
        yield Harm(
            "max_connections",
            known.shown("max_connections"),
            f"{needed} or more",
            f"{load.n_daemons} daemons may need {SESSIONS_OF_A_DAEMON} sessions each, and others connect too",
        )
    if sessions is not None and locks is not None and sessions * locks < load.n_daemons * load.cells_each:
        yield Harm(
            "max_locks_per_transaction",
            known.shown("max_locks_per_transaction"),
            f"{-(-2 * load.n_daemons * load.cells_each // int(sessions))} or more",
            f"the lock table holds {int(sessions * locks)} locks of all sessions, and {load.n_daemons} daemons may "
            f"hold {load.cells_each} each (daemon.micro_batch_cells)",
        )


def _room(table_options: Mapping[str, Mapping[str, str]]) -> Iterator[Harm]:
    options = table_options.get("DiaObject")
    if options is not None and int(options.get("fillfactor", "100")) > MOST_FULL:
        yield Harm(
            "fillfactor of DiaObject",
            options.get("fillfactor", "100"),
            'ALTER TABLE "DiaObject" SET (fillfactor = 50)',
            "the end of a version finds no room in its page, and all indexes are written again",
        )
