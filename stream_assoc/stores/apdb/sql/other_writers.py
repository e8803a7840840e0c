"""What other programs change, and how a batch learns of it.

Administrators reassign, withdraw and close with ``lsst-dax-apdb``, or by SQL,
and take no lock of ours. Three rules keep what is derived from the rows right.

1. Whatever changes a row of DiaSource, DiaForcedSource, DiaObject or
   DiaObjectLast outside of a batch raises the version of the tiles concerned,
   in the same transaction: no cached tile is believed any more.
2. It notes the current object concerned in ``StreamAssocChanged``: no cached
   state of it is believed. Its checkpoint is deleted. If its sources were changed
   or withdrawn, or one was added that its version does not count, the object is *outdated*: the next
   batch that comes over its tile folds it anew, gives it a new version or,
   without sources, closes it. A new version ends the note.
   The count of objects with a single source is kept too.
3. A batch reads the versions of its tiles before anything else and compares
   them again in its own transaction. If another program has raised one in
   between, nothing is stored, and the batch is decided again.

In SQL databases triggers do the first two, so that nobody can forget it. A
batch switches them off for itself: it raises versions once, at its end.

A backend without triggers must get the same from what other programs do leave
behind: before it hands out a cell, it has to find the rows that were changed
since the last session there, or it has to refuse other writers.
"""

from collections.abc import Sequence
from typing import Final

from stream_assoc.core.sky.htm import PIXEL_ID_LEVEL
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.notes import INIT_REMEDY

_SHOWN: Final = 3


def pixel_shift(tile_level: int) -> int:
    """Return how many bits a ``pixelId`` has more than the HTM index of the tile that it lies in."""
    return 2 * (PIXEL_ID_LEVEL - tile_level)


def check_triggers(lacking: Sequence[str]) -> None:
    """Refuse a database that would not note what other programs change.

    Parameters
    ----------
    lacking : sequence of `str`
        Triggers and functions that are not there, switched off or of another form.

    Raises
    ------
    ApdbSchemaError
        If there are any.
    """
    if lacking:
        names = f"{', '.join(lacking[:_SHOWN])}{', ...' if len(lacking) > _SHOWN else ''}"
        raise ApdbSchemaError(
            f"{len(lacking)} triggers of the APDB are missing, switched off or changed ({names}), so that a daemon "
            f"would not learn what other programs write; {INIT_REMEDY}, which makes them anew"
        )
