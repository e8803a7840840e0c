"""Visits of 10,000 sources over objects with ever longer histories: measured, compared with their bars, and drawn.

``make bench-survey`` runs it over 100,000 objects with 1, 20, 60 and 150 sources each
and the statistics of the production set, and, in its long form, also over 10,000 objects
with 1 and 1,000, and all statistics.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
from rich.console import Console

from benchmarks.conftest import machine, table_of
from benchmarks.side_by_side import LATEST, Figure, write
from benchmarks.survey.history import begin, grow, sources_each
from benchmarks.survey.plot import draw
from benchmarks.survey.visits import Field, Measured, Servers
from stream_assoc.core.statistics import ALL_PLUGINS, PRODUCTION_PLUGINS
from stream_assoc.tools.embedded import EmbeddedPostgresql
from stream_assoc.tools.tuning.advice import advise
from stream_assoc.tools.tuning.machine import Build, Disk, Load, Machine, cpus_here, memory_here
from tests import services

N_SOURCES = 10_000
SHARE_OF_DATABASE = 0.5
"""Of the machine's memory; Kafka, the cache and the daemon have the rest."""

N_SETTLING = 12
"""Half of the visits that Rubin takes between two of PostgreSQL's checkpoints, a quarter of an hour."""

PLUGINS = {"production": PRODUCTION_PLUGINS, "all": ALL_PLUGINS}

BARS = {"cold": {150: 1.5, 1000: 2.0}, "warm": {150: 1.3}}
"""How much longer a visit may take at so many sources an object than at one."""


def main() -> None:
    """Measure, judge and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.survey", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 20, 60, 150], help="sources an object")
    parser.add_argument("--objects", type=int, default=100_000, help="objects of the field")
    parser.add_argument("--plugins", choices=PLUGINS, default="production", help="statistics that are computed")
    parser.add_argument("--settling", type=int, default=N_SETTLING, help="visits before those that are measured")
    parser.add_argument("--visits", type=int, default=8, help="visits of each kind at each size")
    parser.add_argument("--announced", type=int, default=3, help="visits that are announced at each size")
    parser.add_argument("--plot", type=Path, help="where an SVG goes, if wanted")
    options = parser.parse_args()
    with _servers() as servers, tempfile.TemporaryDirectory() as folder:
        sky = Field(servers, N_SOURCES, options.objects, PLUGINS[options.plugins], Path(folder))
        measured = dict(_grown(sky, servers, options))
    figures = [*_figures(measured, options.objects)]
    Console().print(table_of(figures))
    write(figures, machine(), LATEST.with_name(f"survey-{options.objects}-{options.plugins}.json"))
    if options.plot is not None:
        draw(measured, options.plot)
    if missed := [one.name for one in figures if not one.holds]:
        raise SystemExit(f"Bars that were missed: {'; '.join(missed)}")


@contextlib.contextmanager
def _servers() -> Iterator[Servers]:
    """Start servers, PostgreSQL with what ``stream-assoc apdb advise`` says for half of this machine."""
    part = Machine(round(SHARE_OF_DATABASE * memory_here()), cpus_here(), Disk.SSD)
    advised = {one.name: one.value for one in advise(part, Load(), Build())}
    with (
        services.kafka() as kafka,
        services.valkey() as cache,
        EmbeddedPostgresql(settings=advised) as postgresql,
        services.new_database(postgresql.url) as apdb,
    ):
        yield Servers(kafka, cache, apdb)


def _grown(sky: Field, servers: Servers, options: argparse.Namespace) -> Iterator[tuple[int, Measured]]:
    """Make the objects, then yield what was measured at each number of sources."""
    sky.make_objects()
    with psycopg.connect(servers.apdb, autocommit=True) as database:
        begin(database)
    there = 1
    for size in options.sizes:
        with psycopg.connect(servers.apdb, autocommit=True) as database:
            grow(database, range(there, size), sky.write_checkpoints)
        there = size
        measured = sky.measure(options.settling, options.visits, options.announced)
        with psycopg.connect(servers.apdb, autocommit=True) as database:
            mean = sources_each(database)
        kinds = {kind: getattr(measured, kind) for kind in ("warm", "cold", "announced", "copies")}
        seconds = ", ".join(f"{kind} {np.median(of_kind):.2f} s" for kind, of_kind in kinds.items() if of_kind)
        log = np.median(measured.log_bytes) / 2**20
        print(f"{mean:7.1f} sources an object: {seconds}, {log:.0f} MiB of log a visit", flush=True)
        yield size, measured


def _figures(measured: dict[int, Measured], n_objects: int) -> Iterator[Figure]:
    """Return each size against the first, and against a raw COPY at the same size."""
    first = measured[min(measured)]
    for size, one in measured.items():
        where = f"at {size} sources each of {n_objects} objects"
        for kind in ("warm", "cold"):
            seconds, base = getattr(one, kind), getattr(first, kind)
            yield Figure(
                f"a visit with a {kind} cache {where} / at {min(measured)}",
                min(seconds) / min(base),
                bar=BARS[kind].get(size),
                details={"mean": float(np.mean(seconds)), "median": float(np.median(seconds)), "worst": max(seconds)},
            )
        if one.announced:
            yield Figure(
                f"an announced visit {where} / a visit with a warm cache",
                float(np.median(one.announced) / np.median(one.warm)),
                bar=1.2,
            )
        yield Figure(
            f"a warm visit {where} / raw binary COPY of its rows",
            min(one.warm) / min(one.copies),
            bar=2.0,
            details={"COPY": min(one.copies)},
        )
        yield Figure(
            f"the worst warm visit {where} / the median", max(one.warm) / float(np.median(one.warm)), bar=1.3
        )


if __name__ == "__main__":
    main()
