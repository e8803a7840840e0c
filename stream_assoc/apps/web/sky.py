"""The answers behind the sky map: coverage, outlines of visits, and objects."""

import functools
import threading
from typing import Any, Final

from lsst.sphgeom import HtmPixelization

from stream_assoc.apps.web.encoding import plain
from stream_assoc.core.exceptions import InvalidFootprintError
from stream_assoc.core.model.changes import LedgerEntry
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import to_radec
from stream_assoc.stores.apdb.reading.port import ApdbReader

_COARSE_LEVEL: Final = 6
"""About a degree: the whole sky has 32,768 such trixels."""
_FEW_TRIXELS: Final = 200
_VISITS: Final = 150
_SOURCES_OF_AN_OUTLINE: Final = 1000
_COLUMNS: Final = ("ra", "dec", "band", "midpointMjdTai")
_DOTS: Final = 8000
_CACHED_OUTLINES: Final = 2000


class SkyMap:
    """Answers with the recent visits, the covered sky, and the objects of a field.

    A visit's outline is the convex hull of its stored sources, because footprints
    are not stored. Outlines are cached: a processing never changes.

    Parameters
    ----------
    tile_level : `int`
        HTM level of the APDB's tiles.
    """

    def __init__(self, tile_level: int) -> None:
        self._tile_level = tile_level
        self._mutex = threading.Lock()
        self._outlines: dict[tuple[int, int, int], dict[str, Any] | None] = {}

    def overview(self, reader: ApdbReader) -> dict[str, Any]:
        """Return the trixels that batches have changed, and the outlines of the latest visits."""
        entries = reader.recent_batches(_VISITS)
        visits = [outline for entry in entries if (outline := self._outline(reader, entry)) is not None]
        level = min(_COARSE_LEVEL, self._tile_level)
        trixels, changes = reader.coverage(self._tile_level, level)
        if len(trixels) <= _FEW_TRIXELS and level < self._tile_level:
            level = min(self._tile_level, level + 3)
            trixels, changes = reader.coverage(self._tile_level, level)
        coverage = [
            {"outline": _trixel(trixel, level), "changes": change}
            for trixel, change in zip(trixels.tolist(), changes.tolist(), strict=True)
        ]
        return {"coverage": coverage, "visits": visits}

    def objects(self, reader: ApdbReader, ra: float, dec: float, radius_deg: float) -> dict[str, Any]:
        """Return the objects around a position, as columns."""
        nearby = reader.near(ra, dec, radius_deg, _DOTS)
        objects = nearby.objects
        return plain(
            {
                "isComplete": nearby.is_complete,
                "diaObjectId": objects.diaObjectId.tolist(),
                "ra": objects.ra.tolist(),
                "dec": objects.dec.tolist(),
                "nDiaSources": objects.nDiaSources.tolist(),
            }
        )

    def _outline(self, reader: ApdbReader, entry: LedgerEntry) -> dict[str, Any] | None:
        with self._mutex:
            if entry.key in self._outlines:
                return self._outlines[entry.key]
        outline = _outline_of(reader, entry)
        with self._mutex:
            while len(self._outlines) >= _CACHED_OUTLINES:
                del self._outlines[next(iter(self._outlines))]
            self._outlines[entry.key] = outline
        return outline


def _outline_of(reader: ApdbReader, entry: LedgerEntry) -> dict[str, Any] | None:
    """Return a visit and detector with its outline; `None` if it has too few stored sources."""
    sources = reader.sources_of_batch(entry.id, entry.timeProcessedMjdTai, _SOURCES_OF_AN_OUTLINE, _COLUMNS)
    if not sources.num_rows:
        return None
    positions = list(zip(sources["ra"].to_pylist(), sources["dec"].to_pylist(), strict=True))
    try:
        outline = ConvexFootprint.from_vertices(positions).vertices.tolist()
    except InvalidFootprintError:
        return None
    return plain(
        {
            "visit": entry.id.visit,
            "detector": entry.id.detector,
            "revision": entry.revision,
            "band": sources["band"][0].as_py(),
            "midpointMjdTai": sources["midpointMjdTai"][0].as_py(),
            "n_stored": entry.n_stored,
            "outline": outline,
        }
    )


@functools.lru_cache(maxsize=40_000)
def _trixel(index: int, level: int) -> list[list[float]]:
    corners = [tuple(vertex) for vertex in HtmPixelization(level).triangle(index).getVertices()]
    ra, dec = to_radec(corners)
    return [[round(a, 5), round(d, 5)] for a, d in zip(ra.tolist(), dec.tolist(), strict=True)]
