"""The shape of states, which depends on the configured statistics."""

import zlib
from dataclasses import dataclass

import numpy as np

from stream_assoc.core.model.states import N_BANDS, LightCurves, ObjectStates
from stream_assoc.core.model.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class StateLayout:
    """What the numbers of a state are, as far as the cache has to know.

    Attributes
    ----------
    name : `str`
        Names the statistics plugins and their order. States written under one
        name are never read under another.
    n_object_fields : `int`
        Length of ``ObjectStates.object_fields`` rows.
    initial_band_fields : `numpy.ndarray` [float64], shape (n_band_fields,)
        Fields of a band without any source. Such bands take no room in a blob.
    """

    name: str
    n_object_fields: int
    initial_band_fields: FloatArray

    @property
    def n_band_fields(self) -> int:
        """Length of the last axis of ``ObjectStates.band_fields``."""
        return len(self.initial_band_fields)

    @property
    def fingerprint(self) -> int:
        """CRC-32 of the name and the initial fields, kept in every state blob."""
        initial = np.ascontiguousarray(self.initial_band_fields, "<f8")
        return zlib.crc32(initial.tobytes(), zlib.crc32(self.name.encode()))

    def empty_states(self) -> ObjectStates:
        """Return the states of no object."""
        return new_states(np.zeros(1, np.int64), self)


def new_states(offsets: IntArray, layout: StateLayout) -> ObjectStates:
    """Return states to be filled, with light curves of these lengths."""
    n_states = len(offsets) // N_BANDS
    times, *fluxes = (np.empty(offsets[-1]) for _ in LightCurves.COLUMNS)
    return ObjectStates(
        diaObjectId=np.empty(n_states, np.int64),
        validityStartMjdTai=np.empty(n_states),
        raErr=np.empty(n_states, np.float32),
        decErr=np.empty(n_states, np.float32),
        ra_dec_Cov=np.empty(n_states, np.float32),
        object_fields=np.empty((n_states, layout.n_object_fields)),
        band_fields=np.empty((n_states, N_BANDS, layout.n_band_fields)),
        curves=LightCurves(offsets, times, *fluxes),
    )
