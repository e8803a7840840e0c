"""A night on any database, in parts, and what it publishes."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from stream_assoc.core.model.batch import Batch, BatchRevision
from stream_assoc.core.model.messages import OutputMessage
from stream_assoc.pipeline.batches import Processed, arrive
from stream_assoc.pipeline.process import process_batches
from stream_assoc.pipeline.services import Services
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.stores.apdb.cassandra.connection import Connection
from stream_assoc.stores.apdb.copying import CopyStep
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import DEFAULT_PATIENCE
from stream_assoc.stores.apdb.rows.tables import quoted
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.configured import configured
from tests.pipeline.skies import PINNED, night, position

SETTINGS: Final = configured(**PINNED, statistics={"checkpoint_every": 4})

N_COPIED: Final = 10
"""Batches before the copy, of the sixteen of a night; the outputs of the last four are not published."""


@contextmanager
def services_on(url: str) -> Iterator[Services]:
    """Open an APDB as a daemon with a new cache does."""
    with closing(open_apdb(url)) as apdb:
        yield services_of(SETTINGS, apdb, MemoryCache(layout_of(SETTINGS)))


def live_on(url: str, batches: Sequence[Batch], begin: int, end: int, *, publish: bool = True) -> list[OutputMessage]:
    """Process these batches of a list, two at a time, and return what is published."""
    published: list[OutputMessage] = []
    with services_on(url) as services:
        for at in range(begin, end, 2):
            arrivals = [arrive(batches[one], services, position(one)) for one in range(at, min(at + 2, end))]
            for outcome in process_batches(arrivals, services):
                assert isinstance(outcome, Processed)
                published += outcome.outputs
            if publish:
                services.apdb.mark_published([BatchRevision(*arrival.batch.id, 0) for arrival in arrivals])
    return published


def live_before_the_copy(url: str) -> None:
    """Store the part of a night that is to be copied."""
    live_on(url, night(), 0, N_COPIED - 4)
    live_on(url, night(), N_COPIED - 4, N_COPIED, publish=False)


def copy(source: str, target: str) -> list[CopyStep]:
    """Copy an APDB to its end."""
    place = parse_url(source)
    return list(parse_url(target).copy_from(lambda: place.copy_source(DEFAULT_PATIENCE), DEFAULT_PATIENCE, print))


def rows_of(connection: Connection, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of all rows of a table, all columns if none is named, sorted."""
    return sorted(connection.read(f'SELECT {quoted(columns) or "*"} FROM "{table}"'), key=repr)
