"""What PostgreSQL's settings bring: the same visits into servers that differ in nothing else, in turns.

Run as ``python -m benchmarks.postgresql_settings``; it prints a table in Markdown. It takes half an hour and
more, and a copy of the database for each server (5 GB at 150 sources an object) below ``--folder``, which the
user postgres must be able to reach.

A survey waits between visits and this does not: checkpoints that a server's ``checkpoint_timeout`` would bring at
Rubin's pace are asked for. Processor time is that of all processes of a server, which other work on the machine
hardly changes.
"""

import argparse
import itertools
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from benchmarks.deployed import first_visits, repeated_visit
from benchmarks.pipeline_services import SETTINGS
from benchmarks.skies import Size
from benchmarks.test_checkpoints import grow
from stream_assoc.core.statistics import ALL_PLUGINS
from stream_assoc.pipeline.batches import arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.service.daemon.heap import collect_rarely, keep_freed_memory
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from stream_assoc.tools.tuning.advice import advise
from stream_assoc.tools.tuning.machine import GIB, Build, Load, Machine
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured

SIZE = Size(10_000, 20_000)
CONFIGURATION = configured(**{**SETTINGS, "statistics": {"plugins": ALL_PLUGINS}})
SECONDS_A_VISIT = 37
N_VISITS_BEFORE = 40
"""After the history was multiplied, so that most objects have their checkpoint."""

DEFAULT_TIMEOUT, ADVISED_TIMEOUT = 300, 900
PER_VISIT = 1e6
BUILDING = {
    "shared_buffers": "2GB",
    "max_wal_size": "2GB",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "maintenance_work_mem": "1GB",
}
# All of the log is kept, so that what is in it can be counted at the end.
COUNTING = {"wal_keep_size": "100GB"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A server to be compared: its name in the table, its settings, and the seconds between its checkpoints."""

    name: str
    settings: Mapping[str, str]
    checkpoint_seconds: int = ADVISED_TIMEOUT


def variants(compressions: Sequence[str]) -> list[Variant]:
    """Return the defaults, what is advised for 8 GiB, and what is advised but for one setting."""
    advised = {one.name: one.value for one in advise(Machine(8 * GIB, 2), Load(), Build(14))}
    return [
        Variant("PostgreSQL's defaults", {}, DEFAULT_TIMEOUT),
        *(Variant(f"advised, wal_compression {one}", {**advised, "wal_compression": one}) for one in compressions),
        Variant("advised, shared_buffers 128MB", {**advised, "shared_buffers": "128MB"}),
        Variant(
            "advised, max_wal_size 1GB and checkpoint_timeout 5min",
            {**advised, "max_wal_size": "1GB", "min_wal_size": "80MB", "checkpoint_timeout": "5min"},
            DEFAULT_TIMEOUT,
        ),
    ]


@dataclass(slots=True)
class Compared:
    """A server at work, and what each of its visits took."""

    variant: Variant
    server: EmbeddedPostgresql
    data: Path
    connection: psycopg.Connection
    services: Services
    cache: MemoryCache
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1000))
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)

    def process(self) -> None:
        """Process the next visit."""
        process_batches([arrive(repeated_visit(SIZE, next(self.numbers)), self.services)], self.services)

    def measure(self) -> None:
        """Process the next visit, timed, and the checkpoint that would come after it."""
        before, start = self._processor_seconds(), time.perf_counter()
        self.process()
        self.seconds.append(time.perf_counter() - start)
        if len(self.seconds) % (self.variant.checkpoint_seconds // SECONDS_A_VISIT) == 0:
            self.connection.execute("CHECKPOINT")
        self.processor_seconds.append(self._processor_seconds() - before)

    def cold(self) -> float:
        """Return the seconds of a visit whose objects are in no cache of ours."""
        self.cache.flush()
        start = time.perf_counter()
        self.process()
        return time.perf_counter() - start

    def position(self) -> str:
        """Return how far the log has been written."""
        return str(self.connection.execute("SELECT pg_current_wal_lsn()").fetchall()[0][0])

    def session_writes(self) -> int:
        """Return how many pages sessions have had to write themselves; a server before version 16 does not tell."""
        if self.connection.info.server_version < 160_000:
            return 0
        rows = self.connection.execute(
            "SELECT sum(writes)::bigint FROM pg_stat_io WHERE backend_type = 'client backend' AND object = 'relation'"
        )
        return int(rows.fetchall()[0][0] or 0)

    def logged(self, begin: str) -> tuple[float, float]:
        """Return megabytes of log a visit since this position, and those of whole pages among them."""
        command = [str(self.server.programs / "pg_waldump"), "--stats", "--path", str(self.data / "pg_wal")]
        told = subprocess.run(
            [*command, "--start", begin, "--end", self.position()], capture_output=True, text=True, check=True
        ).stdout
        total = re.search(r"^Total\s+\d+\s+(\d+) \[.*?\]\s+(\d+) \[.*?\]\s+(\d+)", told, re.MULTILINE)
        assert total is not None, told
        return int(total[3]) / PER_VISIT / len(self.seconds), int(total[2]) / PER_VISIT / len(self.seconds)

    def _processor_seconds(self) -> float:
        main = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        used = main.cpu_times().children_user + main.cpu_times().children_system
        for child in main.children():
            with child.oneshot():
                used += child.cpu_times().user + child.cpu_times().system
        return used


def built(folder: Path, programs: Path | None, n_each: int) -> Path:
    """Return a data directory with so many sources of each object, made unless it is there."""
    data = folder / "history"
    if data.exists():
        return data
    with EmbeddedPostgresql(data, programs=programs, settings=BUILDING) as server:
        init(server.url)
        with (
            closing(open_apdb(server.url)) as apdb,
            psycopg.connect(server.url, autocommit=True) as connection,
        ):
            cache = MemoryCache(layout_of(CONFIGURATION))
            services = services_of(CONFIGURATION, apdb, cache)
            for batch in first_visits(SIZE):
                process_batches([arrive(batch, services)], services)
            grow(connection, n_each)
            cache.flush()
            for number in range(500, 500 + N_VISITS_BEFORE):
                process_batches([arrive(repeated_visit(SIZE, number), services)], services)
            connection.execute("VACUUM ANALYZE")
    return data


@contextmanager
def compared(folder: Path, history: Path, programs: Path | None, variant: Variant) -> Iterator[Compared]:
    """Run a server on a copy of the history."""
    data = folder / "running" / re.sub(r"\W+", "_", variant.name)
    shutil.rmtree(data, ignore_errors=True)
    data.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", history, data], check=True)
    settings = {**variant.settings, **COUNTING}
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgresql(data, programs=programs, settings=settings))
        connection = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        apdb = stack.enter_context(closing(open_apdb(server.url)))
        cache = MemoryCache(layout_of(CONFIGURATION))
        yield Compared(variant, server, data, connection, services_of(CONFIGURATION, apdb, cache), cache)


def row(one: Compared, begin: str, written: int) -> str:
    """Return a row of the table."""
    total, whole_pages = one.logged(begin)
    pages = (one.session_writes() - written) // len(one.seconds)
    processor = statistics.mean(one.processor_seconds)
    cold = min(one.cold() for _ in range(2))
    return (
        f"| {one.variant.name} | {total:.0f} | {whole_pages:.0f} | {pages:,} | {processor:.2f} | "
        f"{min(one.seconds):.2f} | {statistics.median(one.seconds):.2f} | {cold:.1f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the databases go")
    parser.add_argument("--programs", type=Path, help="the directory of another PostgreSQL's programs")
    parser.add_argument("--sources-each", type=int, default=150, help="history of an object")
    parser.add_argument("--visits", type=int, default=24, help="timed, of each server")
    parser.add_argument("--compressions", nargs="+", default=["pglz", "off"], help="values of wal_compression")
    given = parser.parse_args()
    collect_rarely()
    keep_freed_memory()
    os.umask(0o022)
    given.folder.mkdir(exist_ok=True)
    history = built(given.folder, given.programs, given.sources_each)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(compared(given.folder, history, given.programs, variant))
            for variant in variants(given.compressions)
        ]
        begun = []
        for one in servers:
            one.process()
            one.connection.execute("CHECKPOINT")
            begun.append((one.position(), one.session_writes()))
        for _ in range(given.visits):
            for one in servers:
                one.measure()
        print(
            "| server | MB of log a visit | of them whole pages | pages written by the session | processor s | "
            "least s | median s | cold s |\n|---|---|---|---|---|---|---|---|"
        )
        for one, before in zip(servers, begun, strict=True):
            print(row(one, *before), flush=True)


if __name__ == "__main__":
    main()
