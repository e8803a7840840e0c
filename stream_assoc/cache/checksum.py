"""A checksum of blobs, as a kernel that other kernels can call.

No library's checksum can be called from compiled code, and one call for each
of ten thousand states costs more than packing them.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

_P1: Final = np.uint64(0x9E3779B185EBCA87)
_P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_P3: Final = np.uint64(0x165667B19E3779F9)
_P4: Final = np.uint64(0x85EBCA77C2B2AE63)
_P5: Final = np.uint64(0x27D4EB2F165667C5)
"""The primes of the definition of XXH64."""

_LANES: Final = 4


@numba.njit(cache=True, error_model="numpy", inline="always")
def _rotated(value: np.uint64, n_bits: int) -> np.uint64:
    return (value << np.uint64(n_bits)) | (value >> np.uint64(64 - n_bits))


@numba.njit(cache=True, error_model="numpy", inline="always")
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(lane + word * _P2, 31) * _P1


@numba.njit(cache=True, error_model="numpy", inline="always")
def _merged(checksum: np.uint64, lane: np.uint64) -> np.uint64:
    return (checksum ^ _round(np.uint64(0), lane)) * _P1 + _P4


@numba.njit(cache=True, error_model="numpy")
def checksum_of_words(words: npt.NDArray[np.uint64], start: int, stop: int) -> np.uint32:
    """Return the lower half of the XXH64 of some 8-byte words, with seed 0.

    XXH64 (Collet, the xxHash specification) takes four words a step in lanes
    that do not wait for each other, and runs at the speed of the memory.

    Parameters
    ----------
    words : `numpy.ndarray` [uint64], shape (n,)
        Little-endian view of the bytes.
    start, stop : `int`
        The words to cover.

    Returns
    -------
    checksum : `numpy.uint32`
    """
    n = stop - start
    at = start
    if n >= _LANES:
        one, two, three, four = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while at + _LANES <= stop:
            one, two = _round(one, words[at]), _round(two, words[at + 1])
            three, four = _round(three, words[at + 2]), _round(four, words[at + 3])
            at += _LANES
        checksum = _rotated(one, 1) + _rotated(two, 7) + _rotated(three, 12) + _rotated(four, 18)
        checksum = _merged(_merged(_merged(_merged(checksum, one), two), three), four)
    else:
        checksum = _P5
    checksum += np.uint64(8 * n)
    while at < stop:
        checksum = _rotated(checksum ^ _round(np.uint64(0), words[at]), 27) * _P1 + _P4
        at += 1
    checksum = (checksum ^ (checksum >> np.uint64(33))) * _P2
    checksum = (checksum ^ (checksum >> np.uint64(29))) * _P3
    return np.uint32(checksum ^ (checksum >> np.uint64(32)))
