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

_A: Final = np.uint64(0x736F6D6570736575)
_B: Final = np.uint64(0x646F72616E646F6D)
_C: Final = np.uint64(0x6C7967656E657261)
_D: Final = np.uint64(0x7465646279746573)
"""The initial state of the definition of SipHash: "somepseudorandomlygeneratedbytes"."""

_BYTES_OF_A_KEY: Final = 16


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


@numba.njit(cache=True, error_model="numpy")
def code_of_words(words: npt.NDArray[np.uint64], start: int, stop: int, key: BlobKey) -> np.uint64:
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
    state = (key.first ^ _A, key.second ^ _B, key.first ^ _C, key.second ^ _D)
    for at in range(start, stop):
        state = _compressed(state, words[at])
    a, b, c, d = _compressed(state, np.uint64((8 * (stop - start)) & 0xFF) << np.uint64(56))
    state = (a, b, c ^ np.uint64(0xFF), d)
    for _ in range(4):
        state = _round(state)
    a, b, c, d = state
    return np.uint64(a ^ b ^ c ^ d)


State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


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
