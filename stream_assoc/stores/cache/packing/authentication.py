"""Codes that tell blobs of daemons from forged ones, as a kernel that other kernels can call.

Who can write to Redis does not know the key, which is drawn from a secret in
the APDB. No library's code can be called from compiled code, and one call for
each of ten thousand states costs more than packing them.
"""

import hashlib
import secrets
from typing import Final, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.arrays import read_only
from stream_assoc.core.model.types import IntArray

UInt64Array = npt.NDArray[np.uint64]

_A: Final = np.uint64(0x736F6D6570736575)
_B: Final = np.uint64(0x646F72616E646F6D)
_C: Final = np.uint64(0x6C7967656E657261)
_D: Final = np.uint64(0x7465646279746573)
"""The initial state of the definition of SipHash: "somepseudorandomlygeneratedbytes"."""

_BYTES_OF_A_KEY: Final = 16

_LANES: Final = 16
"""Blobs whose codes are computed together. A round waits for the one before it, so that of one blob alone takes
twice as long; more or fewer than these were slower."""


class BlobKey(NamedTuple):
    """The two halves of a key of SipHash."""

    first: np.uint64
    second: np.uint64

    @classmethod
    def of(cls, key: bytes) -> Self:
        """Return the key of these 16 bytes."""
        first, second = np.frombuffer(key, "<u8")
        return cls(first, second)


class CacheKeys(NamedTuple):
    """What blobs are authenticated with, by their kind: a tile cannot pass for a state."""

    tiles: BlobKey
    states: BlobKey

    @classmethod
    def drawn_from(cls, secret: bytes, context: str) -> Self:
        """Return the keys for one place and meaning of blobs: those of another do not pass there.

        Parameters
        ----------
        secret : `bytes`
            At most 64, known to the daemons alone.
        context : `str`
            What is common to the keys under which Redis has the blobs: the
            database, the layout version, and what a state is made of.
        """
        drawn = hashlib.blake2b(context.encode(), key=secret, digest_size=2 * _BYTES_OF_A_KEY).digest()
        return cls(BlobKey.of(drawn[:_BYTES_OF_A_KEY]), BlobKey.of(drawn[_BYTES_OF_A_KEY:]))

    @classmethod
    def random(cls) -> Self:
        """Return keys that nobody else knows, for a cache that nobody else reads."""
        return cls.drawn_from(secrets.token_bytes(_BYTES_OF_A_KEY), "")


def codes_of_blobs(words: UInt64Array, starts: IntArray, key: BlobKey) -> UInt64Array:
    """Return the code of each blob: that of all of its words but the first, which holds it.

    Parameters
    ----------
    words : `numpy.ndarray` [uint64]
        The blobs.
    starts : `numpy.ndarray` [int64], shape (n + 1,)
        First word of each, and one past the last. That of one without a word means nothing.
    key : `BlobKey`

    Returns
    -------
    codes : `numpy.ndarray` [uint64], shape (n,)
        As of `code_of_words`.
    """
    # Blobs of about the same length go side by side.
    return _codes(read_only(words), read_only(starts), read_only(np.argsort(np.diff(starts))), key)


@numba.njit(cache=True, error_model="numpy")
def _codes(words: UInt64Array, starts: IntArray, order: IntArray, key: BlobKey) -> UInt64Array:
    n_blobs = len(order)
    codes = np.zeros(n_blobs, np.uint64)
    a, b, c, d = np.empty((4, _LANES), np.uint64)
    word, place = np.empty(_LANES, np.uint64), np.empty(_LANES, np.int64)
    n_side_by_side = n_blobs // _LANES * _LANES
    for first in range(0, n_side_by_side, _LANES):
        for lane in range(_LANES):
            place[lane] = starts[order[first + lane]] + 1
            a[lane], b[lane], c[lane], d[lane] = _initial(key)
        n_common = max(starts[order[first] + 1] - place[0], 0)
        for at in range(n_common):
            # Apart from the rounds, which the processor then computes for several blobs at once.
            for lane in range(_LANES):
                word[lane] = words[place[lane] + at]
            for lane in range(_LANES):
                a[lane], b[lane], c[lane], d[lane] = _compressed((a[lane], b[lane], c[lane], d[lane]), word[lane])
        for lane in range(_LANES):
            blob = order[first + lane]
            state = (a[lane], b[lane], c[lane], d[lane])
            stop = starts[blob + 1]
            codes[blob] = _finished(state, words, place[lane] + n_common, stop, stop - place[lane])
    for blob in order[n_side_by_side:]:
        codes[blob] = code_of_words(words, starts[blob] + 1, starts[blob + 1], key)
    return codes


@numba.njit(cache=True, error_model="numpy")
def code_of_words(words: UInt64Array, start: int, stop: int, key: BlobKey) -> np.uint64:
    """Return the SipHash-2-4 of some 8-byte words.

    SipHash (Aumasson & Bernstein 2012) is a pseudorandom function: who does
    not know the key can only guess a code, one time in 2**64.

    Parameters
    ----------
    words : `numpy.ndarray` [uint64], shape (n,)
        Little-endian view of the bytes.
    start, stop : `int`
        The words to cover.
    key : `BlobKey`

    Returns
    -------
    code : `numpy.uint64`
    """
    return _finished(_initial(key), words, start, stop, stop - start)


State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@numba.njit(cache=True, error_model="numpy", inline="always")
def _initial(key: BlobKey) -> State:
    return key.first ^ _A, key.second ^ _B, key.first ^ _C, key.second ^ _D


@numba.njit(cache=True, error_model="numpy")
def _finished(state: State, words: UInt64Array, start: int, stop: int, n_words: int) -> np.uint64:
    """Return the code of ``n_words`` words, of which those from ``start`` to ``stop`` are not in the state yet."""
    for at in range(start, stop):
        state = _compressed(state, words[at])
    a, b, c, d = _compressed(state, np.uint64((8 * n_words) & 0xFF) << np.uint64(56))
    state = (a, b, c ^ np.uint64(0xFF), d)
    for _ in range(4):
        state = _round(state)
    a, b, c, d = state
    return np.uint64(a ^ b ^ c ^ d)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _compressed(state: State, word: np.uint64) -> State:
    a, b, c, d = state
    a, b, c, d = _round(_round((a, b, c, d ^ word)))
    return a ^ word, b, c, d


@numba.njit(cache=True, error_model="numpy", inline="always")
def _round(state: State) -> State:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _rotated(b, 13) ^ a, _rotated(d, 16) ^ c
    a = _rotated(a, 32)
    c, a = c + b, a + d
    b, d = _rotated(b, 17) ^ c, _rotated(d, 21) ^ a
    return a, b, _rotated(c, 32), d


@numba.njit(cache=True, error_model="numpy", inline="always")
def _rotated(value: np.uint64, n_bits: int) -> np.uint64:
    return (value << np.uint64(n_bits)) | (value >> np.uint64(64 - n_bits))
