"""CRC-32 of blobs, as a kernel that other kernels can call.

`zlib.crc32` gives the same numbers, but it cannot be called from compiled code
and one call for each of ten thousand states costs more than packing them.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

_POLYNOMIAL: Final = 0xEDB88320
_N_TABLES: Final = 16


def _tables() -> npt.NDArray[np.uint32]:
    """Return the slicing tables: row ``k`` advances a byte over ``k`` further zero bytes."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    tables = [table]
    for _ in range(_N_TABLES - 1):
        tables.append((tables[-1] >> 8) ^ table[tables[-1] & 0xFF])
    return np.stack(tables).astype(np.uint32)


_TABLES: Final = _tables()


@numba.njit(cache=True, error_model="numpy", inline="always")
def _advance(word: np.uint64, row: int) -> np.uint32:
    """Return the contribution of eight bytes of which the last is ``row`` bytes before the end."""
    checksum = np.uint32(0)
    for byte in range(8):
        checksum ^= _TABLES[row + 7 - byte, (word >> np.uint64(8 * byte)) & np.uint64(0xFF)]
    return checksum


@numba.njit(cache=True, error_model="numpy")
def crc32_words(words: npt.NDArray[np.uint64], start: int, stop: int) -> np.uint32:
    """Return the CRC-32 (IEEE 802.3, as `zlib.crc32`) of some 8-byte words.

    Slicing by sixteen (Kounavis & Berry 2008, IEEE Trans. Comput. 57, 1550):
    two words a step, so that the table look-ups of a step are independent.

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
    checksum = np.uint32(0xFFFFFFFF)
    at = start
    while at + 1 < stop:
        checksum = _advance(words[at] ^ np.uint64(checksum), 8) ^ _advance(words[at + 1], 0)
        at += 2
    if at < stop:
        checksum = _advance(words[at] ^ np.uint64(checksum), 0)
    return checksum ^ np.uint32(0xFFFFFFFF)
