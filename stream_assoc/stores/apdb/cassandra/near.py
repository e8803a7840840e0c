"""The current objects around a position."""

from typing import Final

import numpy as np

from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.stores.apdb.cassandra.connection import IN_AT_ONCE, Connection
from stream_assoc.stores.apdb.cassandra.places import Places
from stream_assoc.stores.apdb.reading.answers import Row, positions_of
from stream_assoc.stores.apdb.reading.port import Nearby
from stream_assoc.stores.apdb.rows.tables import POSITION_COLUMNS, quoted

SEARCH_ROWS: Final = 20_000
"""The most objects read for one circle; a circle that holds more is narrowed."""
SEARCH_PIXELS: Final = 100_000
"""The most partitions read for one; of dax_apdb's default a circle of seven degrees has so many."""

_NARROWER: Final = 3.0
_LEAST_RADIUS_ARCSEC: Final = 0.1
_START: Final = 5
_LAST: Final = f'SELECT {quoted(POSITION_COLUMNS[1:])} FROM "DiaObjectLast" WHERE apdb_part IN ?'


def objects_near(
    connection: Connection, places: Places, ra: float, dec: float, radius_deg: float, limit: int
) -> Nearby:
    """Return the current objects within a circle; see `ApdbReader.near`."""
    radius_arcsec = 3600.0 * radius_deg
    is_narrowed = False
    while True:
        rows, is_whole = _read(connection, places.spans_around(ra, dec, radius_arcsec))
        if is_whole or radius_arcsec < _LEAST_RADIUS_ARCSEC:
            break
        # The rows read are any of the objects; the nearest may not be among them.
        radius_arcsec /= _NARROWER
        is_narrowed = True
    found = positions_of(rows)
    separation = separation_arcsec(ra, dec, found.ra, found.dec)
    order = np.argsort(separation, kind="stable")
    order = order[separation[order] <= radius_arcsec]
    is_complete = not is_narrowed and len(order) <= limit
    return Nearby(found.take(order[:limit]), separation[order[:limit]], is_complete)


def _read(connection: Connection, spans: list[tuple[int, int]]) -> tuple[list[Row], bool]:
    """Return the objects of some pixels, each once, and whether these are all; too many are not read to the end."""
    if sum(end - begin for begin, end in spans) > SEARCH_PIXELS:
        return [], False
    pixels = [pixel for span in spans for pixel in range(*span)]
    asked = ((pixels[begin : begin + IN_AT_ONCE],) for begin in range(0, len(pixels), IN_AT_ONCE))
    found: dict[int, Row] = {}
    for page in connection.pages(_LAST, asked):
        for row in page:
            # One that is just being moved may be seen where it was and where it is.
            if row[0] not in found or found[row[0]][_START] < row[_START]:
                found[row[0]] = row
        if len(found) >= SEARCH_ROWS:
            return list(found.values()), False
    return list(found.values()), True
