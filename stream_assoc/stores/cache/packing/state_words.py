"""The words of a state blob, read and written by compiled loops over many states.

==== =========================================================================
word content
==== =========================================================================
0    code that authenticates words 1 to the end (uint64)
1    layout version (uint32), layout fingerprint (uint32)
2    number of object fields (uint32), of fields a band (uint32)
3    diaObjectId (int64)
4    validityStartMjdTai (float64)
5    raErr (float32), decErr (float32)
6    ra_dec_Cov (float32), number of bands that follow (uint32)
7... object fields (float64)
==== =========================================================================

Each band, ascending, is one word with its index (uint32) and number of points
n (uint32), its fields (float64), n times (float64) and four times n fluxes and
errors (float32). A band left out is exactly initial: no point, and the layout's
initial fields bit by bit.

Fields travel as integers, so that no floating-point register touches a NaN.
"""

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.states import N_BANDS
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.stores.cache.packing.authentication import UInt64Array
from stream_assoc.stores.cache.packing.blobs import UInt32Array, Words

CURRENT: Final = 0
OUTDATED: Final = 1
UNREADABLE: Final = 2

OBJECT: Final = 3
VERSION: Final = 4
"""The words that hold diaObjectId and validityStartMjdTai."""

_HEADER: Final = 7
_QUIET_NAN: Final = 1 << 51
_LOST_BITS: Final = (1 << 29) - 1


class Identity(NamedTuple):
    """What the header of every blob of one layout says."""

    layout_version: int
    fingerprint: int
    n_object_fields: int
    n_band_fields: int


class StateArrays(NamedTuple):
    """The arrays of `ObjectStates` as kernels take them, contiguous; ``_bits`` are integer views."""

    diaObjectId: IntArray
    validity_bits: IntArray
    error_bits: tuple[UInt32Array, UInt32Array, UInt32Array]
    object_bits: IntArray
    band_bits: IntArray
    offsets: IntArray
    times: FloatArray
    fluxes: tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@numba.njit(cache=True, error_model="numpy")
def first_wide(values: FloatArray, bits: IntArray) -> int:
    """Return the index of the first float64 that float32 cannot hold bit by bit, or -1."""
    for i in range(len(values)):
        if np.isnan(values[i]):
            narrow = (bits[i] & _LOST_BITS) == 0 and (bits[i] & _QUIET_NAN) != 0
        else:
            narrow = np.float64(np.float32(values[i])) == values[i]
        if not narrow:
            return i
    return -1


@numba.njit(cache=True, error_model="numpy")
def _is_initial(arrays: StateArrays, initial: IntArray, row: int, band: int) -> bool:
    slot = row * N_BANDS + band
    if arrays.offsets[slot + 1] > arrays.offsets[slot]:
        return False
    for field in range(len(initial)):  # noqa: SIM110 - numba compiles the loop, not the generator
        if arrays.band_bits[row, band, field] != initial[field]:
            return False
    return True


@numba.njit(cache=True, error_model="numpy")
def measure(arrays: StateArrays, initial: IntArray) -> IntArray:
    """Return the first word of each state's blob, and of the one after the last."""
    n_states, n_object_fields = arrays.object_bits.shape
    starts = np.zeros(n_states + 1, np.int64)
    for row in range(n_states):
        n_words = _HEADER + n_object_fields
        for band in range(N_BANDS):
            if not _is_initial(arrays, initial, row, band):
                slot = row * N_BANDS + band
                n_words += 1 + len(initial) + 3 * (arrays.offsets[slot + 1] - arrays.offsets[slot])
        starts[row + 1] = starts[row] + n_words
    return starts


@numba.njit(cache=True, error_model="numpy")
def fill(words: Words, starts: IntArray, identity: Identity, arrays: StateArrays, initial: IntArray) -> None:
    """Write the blobs of all states into one buffer, but for their codes.

    Parameters
    ----------
    words : `Words`
        The buffer, ``starts[-1]`` words.
    starts : `numpy.ndarray` [int64], shape (n + 1,)
        From `measure`.
    identity : `Identity`
    arrays : `StateArrays`
        The states.
    initial : `numpy.ndarray` [int64], shape (n_band_fields,)
        Bits of the initial band fields.
    """
    n_object_fields = arrays.object_bits.shape[1]
    for row in range(len(starts) - 1):
        start = starts[row]
        half = 2 * start
        words.halves[half + 2] = identity.layout_version
        words.halves[half + 3] = identity.fingerprint
        words.halves[half + 4] = n_object_fields
        words.halves[half + 5] = len(initial)
        words.signed[start + 3] = arrays.diaObjectId[row]
        words.signed[start + 4] = arrays.validity_bits[row]
        for k in range(3):
            words.halves[half + 10 + k] = arrays.error_bits[k][row]
        at = start + _HEADER
        for field in range(n_object_fields):
            words.signed[at + field] = arrays.object_bits[row, field]
        at += n_object_fields
        n_bands = 0
        for band in range(N_BANDS):
            if not _is_initial(arrays, initial, row, band):
                at = _fill_band(words, at, arrays, row, band)
                n_bands += 1
        words.halves[half + 13] = n_bands


@numba.njit(cache=True, error_model="numpy")
def _fill_band(words: Words, at: int, arrays: StateArrays, row: int, band: int) -> int:
    slot = row * N_BANDS + band
    first = arrays.offsets[slot]
    n_points = arrays.offsets[slot + 1] - first
    n_fields = arrays.band_bits.shape[2]
    words.halves[2 * at] = band
    words.halves[2 * at + 1] = n_points
    at += 1
    for field in range(n_fields):
        words.signed[at + field] = arrays.band_bits[row, band, field]
    at += n_fields
    for point in range(n_points):
        words.doubles[at + point] = arrays.times[first + point]
    at += n_points
    for k in range(4):
        column = arrays.fluxes[k]
        base = 2 * at + k * n_points
        for point in range(n_points):
            words.floats[base + point] = column[first + point]
    return int(at + 2 * n_points)


@numba.njit(cache=True, error_model="numpy")
def examine(
    words: Words,
    starts: IntArray,
    identity: Identity,
    codes: UInt64Array,
    diaObjectId: IntArray,
    validity_bits: IntArray,
) -> tuple[npt.NDArray[np.int8], IntArray]:
    """Judge each blob before anything is taken from it.

    Parameters
    ----------
    words, starts, identity
        As in `fill`. A missing blob has no words.
    codes : `numpy.ndarray` [uint64], shape (n,)
        The code each must carry.
    diaObjectId, validity_bits : `numpy.ndarray` [int64], shape (n,)
        The object and version each blob must be of.

    Returns
    -------
    verdicts : `numpy.ndarray` [int8], shape (n,)
        `CURRENT`, `OUTDATED` or `UNREADABLE`.
    lengths : `numpy.ndarray` [int64], shape (n, 6)
        Points in each band of a readable blob.
    """
    n_blobs = len(starts) - 1
    verdicts = np.full(n_blobs, UNREADABLE, np.int8)
    lengths = np.zeros((n_blobs, N_BANDS), np.int64)
    halves = words.halves
    for row in range(n_blobs):
        start, stop = starts[row], starts[row + 1]
        half = 2 * start
        if (
            stop - start >= _HEADER + identity.n_object_fields
            and halves[half + 2] == identity.layout_version
            and halves[half + 3] == identity.fingerprint
            and halves[half + 4] == identity.n_object_fields
            and halves[half + 5] == identity.n_band_fields
            and words.signed[start + 3] == diaObjectId[row]
            and words.unsigned[start] == codes[row]
            and _bands_fit(halves, start, stop, identity, lengths[row])
        ):
            verdicts[row] = CURRENT if words.signed[start + 4] == validity_bits[row] else OUTDATED
    return verdicts, lengths


@numba.njit(cache=True, error_model="numpy")
def _bands_fit(halves: UInt32Array, start: int, stop: int, identity: Identity, lengths: IntArray) -> bool:
    """Tell whether the bands fill the blob exactly, and note their numbers of points."""
    at = start + _HEADER + identity.n_object_fields
    previous = -1
    for _ in range(halves[2 * start + 13]):
        if at >= stop:
            return False
        band = np.int64(halves[2 * at])
        if band <= previous or band >= N_BANDS:
            return False
        lengths[band] = halves[2 * at + 1]
        at += 1 + identity.n_band_fields + 3 * lengths[band]
        previous = int(band)
    return at == stop


@numba.njit(cache=True, error_model="numpy")
def read(words: Words, starts: IntArray, rows: IntArray, initial: IntArray, arrays: StateArrays) -> None:
    """Take the states out of blobs that `examine` found current.

    Parameters
    ----------
    words, starts, initial
        As in `fill`.
    rows : `numpy.ndarray` [int64], shape (m,)
        The blobs to take.
    arrays : `StateArrays`
        ``m`` states to write, their ``offsets`` already filled in.
    """
    n_object_fields = arrays.object_bits.shape[1]
    for target in range(len(rows)):
        start = starts[rows[target]]
        half = 2 * start
        arrays.diaObjectId[target] = words.signed[start + 3]
        arrays.validity_bits[target] = words.signed[start + 4]
        for k in range(3):
            arrays.error_bits[k][target] = words.halves[half + 10 + k]
        at = start + _HEADER
        for field in range(n_object_fields):
            arrays.object_bits[target, field] = words.signed[at + field]
        at += n_object_fields
        n_left = words.halves[half + 13]
        for band in range(N_BANDS):
            if n_left > 0 and words.halves[2 * at] == band:
                at = _read_band(words, at, arrays, target)
                n_left -= 1
            else:
                for field in range(len(initial)):
                    arrays.band_bits[target, band, field] = initial[field]


@numba.njit(cache=True, error_model="numpy")
def _read_band(words: Words, at: int, arrays: StateArrays, target: int) -> int:
    band = words.halves[2 * at]
    first = arrays.offsets[target * N_BANDS + np.int64(band)]
    n_points = int(words.halves[2 * at + 1])
    n_fields = arrays.band_bits.shape[2]
    at += 1
    for field in range(n_fields):
        arrays.band_bits[target, band, field] = words.signed[at + field]
    at += n_fields
    for point in range(n_points):
        arrays.times[first + point] = words.doubles[at + point]
    at += n_points
    for k in range(4):
        column = arrays.fluxes[k]
        base = 2 * at + k * n_points
        for point in range(n_points):
            column[first + point] = words.floats[base + point]
    return int(at + 2 * n_points)
