"""Whether objects are kept under the pixel that their position is in."""

from collections.abc import Iterator

from stream_assoc.stores.apdb.reading.inspection import NOWHERE, Fault, Find, Placements


def misplaced(placements: Placements) -> Iterator[Find]:
    """Yield the objects whose pixel is not that of their position."""
    pixels = placements.pixel_of_position
    wrong = (pixels != placements.pixelId) | (pixels != placements.pixel_of_version)
    columns = (placements.diaObjectId, placements.pixelId, placements.pixel_of_version, pixels)
    for identifier, last, version, pixel in zip(*(column[wrong].tolist() for column in columns), strict=True):
        values = {"DiaObjectLast": last, "DiaObject": version, "expected": None if pixel == NOWHERE else pixel}
        yield Find(Fault.WRONG_PIXEL_ID, {"diaObjectId": identifier}, values)
