"""What blobs of every kind have in common: they are 8-byte words, and many are handled at once."""

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.arrays import offsets_of
from stream_assoc.core.model.types import Float32Array, FloatArray, IntArray

LAYOUT_VERSION: Final = 3
"""Changes whenever the meaning of a byte of a blob changes. It is part of every Redis key."""

Blob: TypeAlias = bytes | memoryview
UInt32Array: TypeAlias = npt.NDArray[np.uint32]


class Words(NamedTuple):
    """One buffer of 8-byte words, seen as each type that lies in it."""

    unsigned: npt.NDArray[np.uint64]
    signed: IntArray
    doubles: FloatArray
    halves: UInt32Array
    floats: Float32Array


def words_of(buffer: npt.NDArray[np.uint8]) -> Words:
    """Return the views of a buffer of whole words."""
    return Words(*(buffer.view(dtype) for dtype in ("<u8", "<i8", "<f8", "<u4", "<f4")))


def joined(blobs: Sequence[Blob | None]) -> tuple[Words, IntArray]:
    """Return the words of all blobs, and the first of each and one past the last.

    What is no sequence of words has none, nor has `None`.
    """
    present = [blob or b"" for blob in blobs]
    lengths = np.fromiter(map(len, present), np.int64, len(present))
    for row in np.flatnonzero(lengths % 8).tolist():
        present[row], lengths[row] = b"", 0
    return words_of(np.frombuffer(b"".join(present), np.uint8)), offsets_of(lengths // 8)


def slices(buffer: npt.NDArray[np.uint8], starts: IntArray) -> list[memoryview]:
    """Return the blobs that begin at these words of a buffer; the last start is its end."""
    view, bounds = memoryview(buffer), (8 * starts).tolist()  # type: ignore[arg-type]
    return [view[begin:end] for begin, end in itertools.pairwise(bounds)]
