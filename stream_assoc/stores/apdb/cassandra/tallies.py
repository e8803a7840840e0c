"""What an inspection counts up over a whole table before it tells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Final

import numpy as np

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL, htm_index
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.cassandra.row_faults import BatchFaults
from stream_assoc.stores.apdb.cassandra.tables import LEASE, LEDGER
from stream_assoc.stores.apdb.cassandra.whole_tables import WholeTables
from stream_assoc.stores.apdb.reading.answers import Row
from stream_assoc.stores.apdb.reading.inspection import NOWHERE, Fault, Find, pixels_of_positions

_MOST_REMEMBERED: Final = 1_000_000
"""Of the batches that are known to be in the ledger; beyond, they are looked for once more."""


class FirstBatch:
    """When the first batch was processed: what is older was stored by another program.

    Parameters
    ----------
    whole : `WholeTables`
    """

    def __init__(self, whole: WholeTables) -> None:
        self._whole = whole

    @cached_property
    def time(self) -> float:
        """MJD TAI; in an empty ledger nothing is later."""
        pages = self._whole.pages(LEDGER, ("timeProcessedMjdTai",), ("visit", "detector"))
        return min((time for page in pages for (time,) in page), default=float("inf"))


class MissingBatches:
    """The batches that have sources and no entry in the ledger.

    Parameters
    ----------
    batches : `BatchFaults`
    first : `FirstBatch`
    """

    def __init__(self, batches: BatchFaults, first: FirstBatch) -> None:
        self._batches = batches
        self._first = first
        self._known: set[BatchId] = set()
        self._missing = Counter[BatchId]()

    def add(self, rows: Sequence[Row]) -> None:
        """Look at rows of DiaSource, which are in the order of `SOURCE_COLUMNS`."""
        live = [BatchId(*row[2:4]) for row in rows if row[-1] is None and row[-2] >= self._first.time]
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        self._known |= self._batches.entries(set(live) - self._known).keys()
        self._missing.update(batch for batch in live if batch not in self._known)

    def finds(self) -> Iterator[Find]:
        """Yield these batches, each with the number of its sources."""
        for batch, number in sorted(self._missing.items()):
            yield Find(Fault.BATCH_NOT_IN_LEDGER, batch._asdict(), {"live sources": number})


class UnversionedTiles:
    """The tiles that have objects which a batch has changed, and no version at any level.

    Parameters
    ----------
    whole : `WholeTables`
    first : `FirstBatch`
    tile_level : `int`
        HTM level of the tiles now.
    """

    def __init__(self, whole: WholeTables, first: FirstBatch, tile_level: int) -> None:
        self._whole = whole
        self._first = first
        self._tile_level = tile_level
        self._lacking = Counter[int]()

    def add(self, rows: Sequence[Row]) -> None:
        """Look at rows of DiaObjectLast: ra, dec and validityStartMjdTai come last."""
        ra, dec = arrays_of([row[-3:-1] for row in rows if row[-1] >= self._first.time], "dd")
        pixels = pixels_of_positions(ra, dec, partial(htm_index, level=PIXEL_ID_LEVEL))
        pixels = pixels[pixels != NOWHERE]
        has_version = np.zeros(len(pixels), np.bool_)
        for level, tiles in self._tiles.items():
            has_version |= np.isin(pixels >> 2 * (PIXEL_ID_LEVEL - level), tiles)
        lacking = pixels[~has_version] >> 2 * (PIXEL_ID_LEVEL - self._tile_level)
        self._lacking.update(lacking.tolist())

    def finds(self) -> Iterator[Find]:
        """Yield these tiles, each with the number of such objects in it."""
        for tile, number in sorted(self._lacking.items()):
            yield Find(Fault.TILE_WITHOUT_VERSION, {"tile": tile}, {"objects": number})

    @cached_property
    def _tiles(self) -> dict[int, IntArray]:
        """All tiles that have a version, by level: more than one after the sky was divided anew."""
        found: dict[int, list[int]] = {}
        for page in self._whole.pages(LEASE, ("tile_versions",), ("region",)):
            versions = (one for (some,) in page for one in dict(some or {}).items())
            for tile in (tile for tile, version in versions if version >= 1):
                found.setdefault((tile.bit_length() - 4) // 2, []).append(tile)
        return {level: np.unique(np.array(tiles, np.int64)) for level, tiles in found.items()}
