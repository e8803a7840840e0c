"""The beginnings of blobs, which tell a version without the content.

A code that authenticates a blob covers all of it, so the beginning alone proves
nothing. It is good for a guess at what need not be written again.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.cache.packing import state_words, tile_packing
from stream_assoc.stores.cache.packing.blobs import Blob, words_of

BYTES: Final = 8 * (1 + max(tile_packing.VERSION, state_words.VERSION))
"""As much of a blob as `tile_versions` and `state_versions` look at."""


def tile_versions(beginnings: Sequence[Blob | None], tiles: IntArray) -> IntArray:
    """Return the version that each blob claims for its tile, -1 for what is absent or no beginning of it."""
    signed, is_whole = _signed(beginnings)
    is_own = is_whole & (signed[:, tile_packing.TILE] == tiles)
    return np.where(is_own, signed[:, tile_packing.VERSION], -1)


def state_versions(beginnings: Sequence[Blob | None], diaObjectId: IntArray) -> FloatArray:
    """Return the validityStartMjdTai that each blob claims, NaN for what is absent or no beginning of its state."""
    signed, is_whole = _signed(beginnings)
    is_own = is_whole & (signed[:, state_words.OBJECT] == diaObjectId)
    return np.where(is_own, np.ascontiguousarray(signed[:, state_words.VERSION]).view(np.float64), np.nan)


def _signed(beginnings: Sequence[Blob | None]) -> tuple[IntArray, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """Return the first words of each blob, and whether it has so many."""
    nothing = bytes(BYTES)
    pieces = [bytes((one or b"")[:BYTES]) for one in beginnings]
    is_whole = np.fromiter((len(one) == BYTES for one in pieces), np.bool_, len(pieces))
    buffer = b"".join(one if len(one) == BYTES else nothing for one in pieces)
    return words_of(np.frombuffer(buffer, np.uint8)).signed.reshape(-1, BYTES // 8), is_whole
