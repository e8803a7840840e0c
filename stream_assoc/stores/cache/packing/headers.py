"""The beginnings of blobs, which tell a version without the content.

A code that authenticates a blob covers all of it, so the beginning alone proves
nothing. It is good for a guess at what need not be written again.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from stream_assoc.core.model.types import BoolArray, FloatArray, IntArray
from stream_assoc.stores.cache.packing import state_words, tile_packing
from stream_assoc.stores.cache.packing.blobs import Blob, words_of

TILE_BYTES: Final = 8 * (tile_packing.VERSION + 1)
STATE_BYTES: Final = 8 * (state_words.VERSION + 1)
"""As much of a blob as `tile_versions` and `state_versions` look at."""


def tile_versions(beginnings: Sequence[Blob | None], tiles: IntArray) -> IntArray:
    """Return the version that each blob claims for its tile, -1 for what is absent or no beginning of it."""
    words, is_whole = _words(beginnings, TILE_BYTES)
    return np.where(is_whole & (words[:, tile_packing.TILE] == tiles), words[:, tile_packing.VERSION], -1)


def state_versions(beginnings: Sequence[Blob | None], diaObjectId: IntArray) -> FloatArray:
    """Return the validityStartMjdTai that each blob claims, NaN for what is absent or no beginning of its state."""
    words, is_whole = _words(beginnings, STATE_BYTES)
    versions = np.ascontiguousarray(words[:, state_words.VERSION]).view(np.float64)
    return np.where(is_whole & (words[:, state_words.OBJECT] == diaObjectId), versions, np.nan)


def _words(beginnings: Sequence[Blob | None], n_bytes: int) -> tuple[IntArray, BoolArray]:
    """Return the first words of each blob, and whether it has so many."""
    pieces = [(one or b"")[:n_bytes] for one in beginnings]
    is_whole = np.fromiter((len(one) == n_bytes for one in pieces), np.bool_, len(pieces))
    buffer = b"".join(one if whole else bytes(n_bytes) for one, whole in zip(pieces, is_whole.tolist(), strict=True))
    return words_of(np.frombuffer(buffer, np.uint8)).signed.reshape(-1, n_bytes // 8), is_whole
