"""An APDB that the real pipeline has filled."""

from dataclasses import replace
from typing import Any

from stream_assoc.core.model.batch import BatchId
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import Settings
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.cache.memory import MemoryCache
from stream_assoc.testing.rows import changes, forced
from stream_assoc.wiring.pipeline import layout_of, services_of
from tests.pipeline.skies import night, process_from

BEGIN = 62_000.0
SECOND = 1.0 / 86400.0
FORCED_BATCH = BatchId(7_000_000_000_000_001, 12)


class SteppingClock:
    """A second passes with each batch."""

    def __init__(self) -> None:
        self.now = BEGIN

    def processing_time(self) -> float:
        self.now += SECOND
        return self.now

    def stopwatch_time(self) -> float:
        return 0.0


def services_at(url: str, **sections: Any) -> Services:
    """Services on a prepared APDB, whose clock steps."""
    settings = Settings(**sections)
    services = services_of(settings, open_apdb(url), MemoryCache(layout_of(settings)))
    return replace(services, clock=SteppingClock())


def store_night(url: str) -> int:
    """Process the small night, and give one object forced photometry; return that object's id."""
    services = services_at(url)
    for turn, batch in enumerate(night()):
        process_from(services, turn, batch)
    with services.apdb.exclusive(services.partition.cells(services.apdb.known_tiles())) as session:
        objects = max(
            (tile for tile in session.load_tiles(services.apdb.known_tiles()).split().values() if len(tile)),
            key=lambda tile: tile.nDiaSources.max(),
        )
        chosen = int(objects.diaObjectId[objects.nDiaSources.argmax()])
        rows = [forced(5, chosen, *FORCED_BATCH, band="g", psfFluxErr=2.5, scienceFlux=3.5, scienceFluxErr=4.5)]
        session.commit([changes(FORCED_BATCH, forced_sources=rows, time=BEGIN + 1.0)])
    services.apdb.close()
    return chosen
