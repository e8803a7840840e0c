"""UTC to TAI, without looking anything up on the network."""

import warnings
from typing import Final

import erfa
import numpy as np
import pyarrow as pa

from stream_assoc.core.model.times import MJD_OF_UNIX_EPOCH, MJD_ZERO_JD, SECONDS_PER_DAY
from stream_assoc.core.model.types import FloatArray

_DAY_MICROSECONDS: Final = 86_400_000_000
_FARTHEST_MJD: Final = 1e8
"""What is outside of 0 to this is no date of a survey, and ERFA refuses some of it."""


def utc_to_tai(mjd: FloatArray) -> FloatArray:
    """Return UTC dates as TAI.

    The leap seconds are those compiled into ERFA (IAU SOFA ``utctai``), so one
    installation always gives the same answer. TAI - UTC has been 37 s since
    2017-01-01.

    Parameters
    ----------
    mjd : `numpy.ndarray` [float64]
        MJD UTC. NaN and what is no date of any calendar is returned as it is.

    Returns
    -------
    mjd : `numpy.ndarray` [float64]
        MJD TAI.
    """
    known = (mjd > 0.0) & (mjd < _FARTHEST_MJD)
    with warnings.catch_warnings():
        # ERFA calls a date beyond its table dubious; no leap second has been announced since 2016.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        whole, fraction = erfa.utctai(MJD_ZERO_JD, np.where(known, mjd, 0.0))
    return np.where(known, (whole - MJD_ZERO_JD) + fraction, mjd)


def mjd_utc(timestamps: pa.Array) -> pa.Array:
    """Return timestamps of Arrow, which count UTC days of 86,400 s from 1970, as MJD UTC."""
    microseconds = timestamps.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    counted = np.asarray(microseconds.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    days, rest = np.divmod(counted, _DAY_MICROSECONDS)
    return pa.array(MJD_OF_UNIX_EPOCH + days + rest / _DAY_MICROSECONDS)


__all__ = ["MJD_ZERO_JD", "SECONDS_PER_DAY", "mjd_utc", "utc_to_tai"]
