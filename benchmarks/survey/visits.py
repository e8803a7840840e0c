"""Visits of a field, from Kafka to Kafka, and raw copies of their rows."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.announced import Announcer, forget, serving_and_warming
from benchmarks.deployed import SECTIONS, Listener, Sender, copy_of, first_visits, repeated_visit
from benchmarks.raw_copy import raw_copy_seconds
from benchmarks.skies import Size
from benchmarks.test_checkpoints import log_position
from stream_assoc.core.model.batch import Batch
from stream_assoc.tools.maintenance.checkpoints import keep
from stream_assoc.tools.maintenance.stores import Stores
from stream_assoc.wiring.pipeline import calculator_of, checkpoints_of, partition_of
from stream_assoc.wiring.stores import open_stores
from stream_assoc.wiring.warming import warmer_of
from tests.integration.deployment import Deployment, deploy

WRITTEN_WITHIN_SECONDS = 60.0

RAW = "raw_copy"
"""The name of the copy of the database that rows are copied into."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are."""

    kafka: str
    cache: str
    apdb: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each visit of a kind, from when the broker had it until subscribers had its metrics.

    Attributes
    ----------
    warm, cold, announced, copies : `list` [`float`]
        With every tile and state cached; with an empty cache; with an empty cache, but announced
        while the visit before was processed; and a raw COPY of the rows of a warm one.
    log_bytes : `list` [`float`]
        Of PostgreSQL's write-ahead log, for each warm visit.
    """

    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    announced: list[float] = field(default_factory=list)
    copies: list[float] = field(default_factory=list)
    log_bytes: list[float] = field(default_factory=list)


class Field:
    """A field of the sky with a deployment of its own.

    Parameters
    ----------
    servers : `Servers`
    n_sources, n_objects : `int`
        Of each visit, and of the field.
    plugins : `tuple` [`str`]
        Statistics that are computed.
    folder : `~pathlib.Path`
        Where the daemon logs.
    """

    def __init__(
        self, servers: Servers, n_sources: int, n_objects: int, plugins: tuple[str, ...], folder: Path
    ) -> None:
        self._plugins = plugins
        self._size = Size(n_sources, n_objects)
        self._servers = servers
        self._folder = folder
        self._deployment: Deployment = deploy(
            servers.kafka, servers.cache, servers.apdb, **SECTIONS, statistics={"plugins": plugins}
        )
        self._sender = Sender(self._deployment)
        self._numbers = itertools.count(1)
        self._n_sent = 0

    def make_objects(self) -> None:
        """Let a daemon make all objects, one source each."""
        with self._daemon() as (listener, _):
            for batch in first_visits(self._size):
                self._seconds(batch, listener)

    def write_checkpoints(self) -> None:
        """Write the checkpoints of all objects, as ``stream-assoc cache checkpoint`` does."""
        with self._stores() as stores:
            for _ in keep(stores, stores.apdb.known_tiles()):
                pass

    def measure(self, n_settling: int, n_visits: int, n_announced: int) -> Measured:
        """Process so many visits with a cold and with a warm cache, and so many that are announced.

        A checkpoint of PostgreSQL and visits that are not measured come before: right after the one, each page
        that is touched is logged whole, and a daemon's first visit is slow. The rows of the warm ones are copied too.
        """
        measured = Measured()
        with (
            copy_of(self._servers.apdb, RAW) as raw,
            self._daemon() as (listener, announcer),
            psycopg.connect(self._servers.apdb, autocommit=True) as apdb,
        ):
            apdb.execute("CHECKPOINT")
            for _ in range(n_settling):
                self._seconds(self._next(), listener)
            for _ in range(n_visits):
                self._forget(announcer)
                measured.cold.append(self._seconds(self._next(), listener))
            # Each warms the states of the whole field, which takes a while.
            for _ in range(n_announced):
                self._forget(announcer)
                before, batch = self._next(), self._next()
                self._send(before)
                announcer.warm(batch)
                listener.wait_for([before.id])
                measured.announced.append(self._seconds(batch, listener))
            self._warm()
            for _ in range(n_visits):
                batch, position = self._next(), log_position(apdb)
                measured.warm.append(self._seconds(batch, listener))
                measured.log_bytes.append(log_position(apdb) - position)
                measured.copies.append(raw_copy_seconds(apdb, raw, batch.id.visit))
        return measured

    def _next(self) -> Batch:
        return repeated_visit(self._size, next(self._numbers))

    def _send(self, batch: Batch) -> float:
        self._n_sent += 1
        return self._sender.send([self._sender.encoded(batch)])

    def _seconds(self, batch: Batch, listener: Listener) -> float:
        sent = self._send(batch)
        (seen,) = listener.wait_for([batch.id])
        return seen - sent

    def _forget(self, announcer: Announcer) -> None:
        """Empty the cache, once the visit before is in it too: its subscribers have it earlier."""
        deadline = time.monotonic() + WRITTEN_WITHIN_SECONDS
        while announcer.n_written() < self._n_sent:
            assert time.monotonic() < deadline, "the daemon has not written the last visit to the cache"
            time.sleep(0.05)
        forget(self._deployment)

    def _warm(self) -> None:
        settings = self._deployment.settings
        with open_stores(settings) as (apdb, cache):
            for _ in warmer_of(settings, apdb, cache).warm(apdb.known_tiles()):
                pass

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[tuple[Listener, Announcer]]:
        plugins = {"STREAM_ASSOC_STATISTICS__PLUGINS": json.dumps(self._plugins)}
        with (
            Listener.on(self._deployment) as listener,
            serving_and_warming(self._deployment, self._folder, plugins) as announcer,
        ):
            self._n_sent = 0
            yield listener, announcer

    @contextlib.contextmanager
    def _stores(self) -> Iterator[Stores]:
        settings = self._deployment.settings
        with open_stores(settings) as (apdb, cache):
            yield Stores(apdb, cache, calculator_of(settings), partition_of(settings), checkpoints_of(settings))
