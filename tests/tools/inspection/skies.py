"""A sound APDB that has seen everything a daemon does, and ways to make it unsound."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg

from stream_assoc.core.statistics.registry import ALL_PLUGINS
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.postgresql.triggers import BATCH_SETTING
from stream_assoc.stores.apdb.reading.inspection import Find
from stream_assoc.stores.apdb.reading.open import open_inspection
from stream_assoc.stores.apdb.sqlite.backend import SqliteUrl
from stream_assoc.stores.apdb.sqlite.triggers import BEGIN_BATCH, END_BATCH
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.tools.inspection.sampling import Sampling
from stream_assoc.tools.inspection.tasks import tasks
from stream_assoc.wiring.pipeline import calculator_of, layout_of, services_of
from tests.configured import configured
from tests.pipeline.photometers import Photometer, with_images
from tests.pipeline.skies import BIG, PINNED, night, process_from
from tests.pipeline.test_reprocessing import reprocessed, stars

SETTINGS = configured(images={"roots": ("/images",)}, statistics={"plugins": ALL_PLUGINS}, **PINNED)
KEPT, EMPTIED, MADE_AGAIN = (BIG + 1_000_000 + number for number in range(3))
"""Objects named after sources of a visit that is processed three times: one goes on, one is closed
for good, and one is closed and made again."""


@contextmanager
def services_on(url: str) -> Iterator[Services]:
    with closing(open_apdb(url)) as apdb:
        yield replace(services_of(SETTINGS, apdb, MemoryCache(layout_of(SETTINGS))), photometer=Photometer())


def live_through_a_night(url: str) -> None:
    """Process a night with forced photometry, and a visit that is processed again, twice."""
    with services_on(url) as services:
        batches = [with_images(one) for one in night()]
        for turn, one in enumerate(batches):
            process_from(services, turn, one)
        for revision, (places, ids) in enumerate(
            [([0, 10, 20], (KEPT, EMPTIED, MADE_AGAIN)), ([0], (KEPT,)), ([0, 20], (KEPT, MADE_AGAIN))]
        ):
            fluxes = {"psfFlux": np.full(len(ids), 1000.0 + revision)}
            one = with_images(stars(1, places, ids=list(ids), **fluxes))
            reprocessed(services, len(batches) + revision, one)
        process_from(services, 30, with_images(stars(2, [0.1])))


def inspected(url: str, sampling: Sampling | None = None, settings: Settings = SETTINGS) -> list[Find]:
    """Return all that an inspection finds."""
    with open_inspection(url, flag_columns=settings.statistics.flag_columns) as inspection:
        work = tasks(inspection, calculator_of(settings), sampling or Sampling(None))
        return [find for task in work for step in task.steps for find in step.finds]


@dataclass(frozen=True)
class Tampering:
    """Changes the rows of an APDB behind everybody's back, as a defect would: no trigger notes it."""

    url: str

    def run(self, statement: str, *, noted: bool = False) -> list[tuple[Any, ...]]:
        """Execute a statement of either dialect, as another program if it is ``noted``, and return its rows."""
        parsed = parse_url(self.url)
        if isinstance(parsed, SqliteUrl):
            with closing(sqlite3.connect(parsed.path)) as file, file:
                around = (";", ";") if noted else (BEGIN_BATCH, END_BATCH)
                file.execute(around[0])
                rows = file.execute(statement).fetchall()
                file.execute(around[1])
                return rows
        with psycopg.connect(self.url) as server:
            server.execute(f"SET {BATCH_SETTING} = '{'off' if noted else 'on'}'".encode())
            cursor = server.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str) -> Any:
        """Return the first value of the first row."""
        return self.run(statement)[0][0]

    def insert_like(self, table: str, where: str, **values: object) -> None:
        """Insert a copy of a row with some columns replaced."""
        names = self._columns(table)
        chosen = ", ".join(str(values[name]) if name in values else f'"{name}"' for name in names)
        into = ", ".join(f'"{name}"' for name in names)
        self.run(f'INSERT INTO "{table}" ({into}) SELECT {chosen} FROM "{table}" WHERE {where}')

    def _columns(self, table: str) -> list[str]:
        if isinstance(parse_url(self.url), SqliteUrl):
            rows = self.run(f"SELECT name FROM pragma_table_info('{table}')")
        else:
            rows = self.run(
                f"SELECT attname FROM pg_attribute WHERE attrelid = '\"{table}\"'::regclass "
                "AND attnum > 0 AND NOT attisdropped"
            )
        return [name for (name,) in rows if name != "sequence"]
