"""How object states become blobs, and how a damaged or forged one is known.

A blob that is truncated, altered, foreign, of another object or of another
layout is *unreadable*: it is reported as absent and counted, never raised,
because whoever asked for it can rebuild it. The words of a blob are told in
`stream_assoc.stores.cache.packing.state_words`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_assoc.core.model.arrays import as_is, offsets_of, read_only
from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates, StateLayout, new_states
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.pipeline.ports.cache import CachedStates
from stream_assoc.stores.cache.packing import state_words
from stream_assoc.stores.cache.packing.authentication import BlobKey, codes_of_blobs
from stream_assoc.stores.cache.packing.blobs import LAYOUT_VERSION, Blob, joined, slices, words_of


def pack_states(states: ObjectStates, layout: StateLayout, key: BlobKey) -> list[memoryview]:
    """Return each state as a blob, in order.

    Parameters
    ----------
    states : `ObjectStates`
    layout : `StateLayout`
    key : `BlobKey`
        What they are authenticated with.

    Returns
    -------
    blobs : `list` [`memoryview`]
        Slices of one buffer. `unpack_states` gives the same bits back. A state
        takes 56 bytes, its object fields, and for each band that is not
        initial 8 bytes, its fields and 24 bytes a point.

    Raises
    ------
    ValueError
        If an array does not have the layout's shape, or if a flux of a light
        curve is not a float32 value widened.
    """
    _require_layout(states, layout)
    _require_narrow(states.curves)
    arrays = _arrays(states, read_only)
    initial = read_only(_initial_bits(layout))
    starts = state_words.measure(arrays, initial)
    buffer = np.empty(8 * int(starts[-1]), np.uint8)
    words = words_of(buffer)
    state_words.fill(words, starts, _identity(layout), arrays, initial)
    words.unsigned[starts[:-1]] = codes_of_blobs(words.unsigned, starts, key)
    return slices(buffer, starts)


def unpack_states(
    blobs: Sequence[Blob | None],
    layout: StateLayout,
    diaObjectId: IntArray,
    validityStartMjdTai: FloatArray,
    key: BlobKey,
) -> tuple[CachedStates, int]:
    """Return the states that are present, readable and of the version asked for.

    Parameters
    ----------
    blobs : `~collections.abc.Sequence` [`bytes`, `memoryview` or `None`]
        What the cache holds for each object; `None` for nothing.
    layout : `StateLayout`
    diaObjectId : `numpy.ndarray` [int64], shape (n,)
        Object each blob must belong to.
    validityStartMjdTai : `numpy.ndarray` [float64], shape (n,)
        Version each blob must have.
    key : `BlobKey`
        What it must be authenticated with.

    Returns
    -------
    cached : `CachedStates`
    n_unreadable : `int`
        Blobs that no writer of this layout has written for this object.
    """
    words, starts = joined(blobs)
    validity_bits = np.asarray(validityStartMjdTai, np.float64).view(np.int64)
    codes = codes_of_blobs(words.unsigned, starts, key)
    verdicts, lengths = state_words.examine(
        words, starts, _identity(layout), codes, read_only(diaObjectId), read_only(validity_bits)
    )
    current = np.flatnonzero(verdicts == state_words.CURRENT)
    states = new_states(offsets_of(lengths[current].ravel()), layout)
    state_words.read(words, starts, current, read_only(_initial_bits(layout)), _arrays(states, as_is))
    n_not_readable = int(np.count_nonzero(verdicts == state_words.UNREADABLE))
    # To look at every blob for that is slow, and mostly needless.
    n_unreadable = n_not_readable - blobs.count(None) if n_not_readable else 0
    return CachedStates(current, states), n_unreadable


def unpack_state_versions(
    blobs: Sequence[Blob | None], layout: StateLayout, diaObjectId: IntArray, key: BlobKey
) -> FloatArray:
    """Return the validityStartMjdTai that each readable state carries, NaN for the others.

    Parameters
    ----------
    blobs, layout, diaObjectId, key
        As for `unpack_states`.
    """
    words, starts = joined(blobs)
    none_asked_for = np.full(len(blobs), np.nan).view(np.int64)
    codes = codes_of_blobs(words.unsigned, starts, key)
    verdicts, _ = state_words.examine(
        words, starts, _identity(layout), codes, read_only(diaObjectId), read_only(none_asked_for)
    )
    readable = np.flatnonzero(verdicts != state_words.UNREADABLE)
    versions = np.full(len(blobs), np.nan)
    versions[readable] = words.doubles[starts[readable] + state_words.VERSION]
    return versions


def _identity(layout: StateLayout) -> state_words.Identity:
    return state_words.Identity(LAYOUT_VERSION, layout.fingerprint, layout.n_object_fields, layout.n_band_fields)


def _initial_bits(layout: StateLayout) -> IntArray:
    return np.ascontiguousarray(layout.initial_band_fields, np.float64).view(np.int64)


def _arrays(states: ObjectStates, prepare: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> state_words.StateArrays:
    curves = states.curves
    return state_words.StateArrays(
        prepare(states.diaObjectId),
        prepare(states.validityStartMjdTai).view(np.int64),
        (
            prepare(states.raErr).view(np.uint32),
            prepare(states.decErr).view(np.uint32),
            prepare(states.ra_dec_Cov).view(np.uint32),
        ),
        prepare(states.object_fields).view(np.int64),
        prepare(states.band_fields).view(np.int64),
        prepare(curves.offsets),
        prepare(curves.midpointMjdTai),
        (
            prepare(curves.psfFlux),
            prepare(curves.psfFluxErr),
            prepare(curves.scienceFlux),
            prepare(curves.scienceFluxErr),
        ),
    )


def _require_narrow(curves: LightCurves) -> None:
    for name in LightCurves.COLUMNS[1:]:
        column = read_only(getattr(curves, name))
        row = state_words.first_wide(column, column.view(np.int64))
        if row >= 0:
            raise ValueError(f"curves.{name}[{row}] is {column[row]}, which is not a float32 value widened")


def _require_layout(states: ObjectStates, layout: StateLayout) -> None:
    n_states = len(states)
    found = (states.object_fields.shape, states.band_fields.shape, states.curves.n_slots)
    needed = (
        (n_states, layout.n_object_fields),
        (n_states, N_BANDS, layout.n_band_fields),
        n_states * N_BANDS,
    )
    if found != needed:
        raise ValueError(
            f"object_fields, band_fields and curve slots are {found}; layout {layout.name!r} needs {needed}"
        )
