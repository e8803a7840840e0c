"""UTC to TAI, without looking anything up on the network."""

import warnings

import erfa
import numpy as np

from stream_assoc.model.types import FloatArray

MJD_ZERO_JD = 2_400_000.5
SECONDS_PER_DAY = 86_400.0


def utc_to_tai(mjd: FloatArray) -> FloatArray:
    """Return UTC dates as TAI.

    The leap seconds are those compiled into ERFA (IAU SOFA ``utctai``), so one
    installation always gives the same answer. TAI - UTC has been 37 s since
    2017-01-01.

    Parameters
    ----------
    mjd : `numpy.ndarray` [float64]
        MJD UTC.

    Returns
    -------
    mjd : `numpy.ndarray` [float64]
        MJD TAI.
    """
    with warnings.catch_warnings():
        # ERFA calls a date beyond its table dubious; no leap second has been announced since 2016.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        whole, fraction = erfa.utctai(MJD_ZERO_JD, mjd)
    return np.asarray((whole - MJD_ZERO_JD) + fraction, dtype=np.float64)
