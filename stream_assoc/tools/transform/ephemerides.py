"""Predicted positions of solar-system objects, from polynomial ephemerides."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.polynomial import chebyshev

from stream_assoc.core.model.batch import SolarSystemObjects
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.core.sky.vectors import to_radec
from stream_assoc.tools.transform.conversion import converted, plain
from stream_assoc.tools.transform.exceptions import MappingError

_AXES = "xyz"


@dataclass(frozen=True, slots=True)
class Ephemerides:
    """Ephemerides in the form that Rubin's ``mpsky`` service returns.

    The direction of an object at time ``t`` is that of ``obj(t) - obs(t)``,
    both Chebyshev series in ``t - tmin`` in days, not rescaled to [-1, 1]. On
    the DECam data this gives the catalogue's own ``ra`` and ``dec`` to 0.001
    arcsec, and two real detections at 0.3 and 0.4 arcsec.

    Attributes
    ----------
    ssObjectId : `numpy.ndarray` [int64], shape (n,)
    tmin, tmax : `numpy.ndarray` [float64], shape (n,)
        MJD TAI between which a row is valid.
    coefficients : `numpy.ndarray` [float64], shape (n, 3, degree + 1)
        Of the difference ``obj - obs``, au.
    """

    ssObjectId: IntArray
    tmin: FloatArray
    tmax: FloatArray
    coefficients: FloatArray

    @classmethod
    def from_table(cls, table: pa.Table) -> "Ephemerides":
        """Read columns ``ssObjectId``, ``tmin``, ``tmax``, ``obj_?_poly``, ``obs_?_poly``; repeated objects once.

        Raises
        ------
        MappingError
            If a column is missing, or an identifier is none or has lost digits.
        """
        needed = ["ssObjectId", "tmin", "tmax", *(f"{body}_{axis}_poly" for body in ("obj", "obs") for axis in _AXES)]
        missing = [name for name in needed if name not in table.schema.names]
        if missing:
            raise MappingError(f"the ephemerides have no column {', '.join(missing)}")
        ids = _identifiers(table.column("ssObjectId"))
        rows = np.unique(ids, return_index=True)[1]
        chosen = table.take(rows)
        axes = [_series(chosen, f"obj_{axis}_poly", f"obs_{axis}_poly") for axis in _AXES]
        tmin, tmax = (np.asarray(chosen.column(name).to_numpy(), dtype=np.float64) for name in ("tmin", "tmax"))
        return cls(ids[rows], tmin, tmax, np.stack(axes, axis=1))

    def predict(self, midpointMjdTai: float, footprint: FloatArray, margin_arcsec: float = 0.0) -> SolarSystemObjects:
        """Return the objects expected in a footprint, by ascending ssObjectId.

        Parameters
        ----------
        midpointMjdTai : `float`
            Rows that are not valid at this time are left out.
        footprint : `numpy.ndarray` [float64], shape (k, 2)
            Vertices, degrees.
        margin_arcsec : `float`
            Objects so far outside are still returned.
        """
        valid = np.flatnonzero((self.tmin <= midpointMjdTai) & (midpointMjdTai <= self.tmax))
        elapsed = midpointMjdTai - self.tmin[valid]
        series = np.moveaxis(self.coefficients[valid], -1, 0)
        vectors = chebyshev.chebval(elapsed[:, np.newaxis], series, tensor=False)
        ra, dec = to_radec(vectors)
        inside = ConvexFootprint.from_vertices(footprint).contains(ra, dec, margin_arcsec)
        return SolarSystemObjects(self.ssObjectId[valid][inside], ra[inside], dec[inside])


def _identifiers(column: pa.ChunkedArray) -> IntArray:
    try:
        made = converted(plain(column), pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise MappingError(f"ssObjectId of the ephemerides is {column.type}, not int64") from error
    if made.values.null_count:
        raise MappingError(
            f"ssObjectId of the ephemerides is missing in {made.values.null_count} rows, or floats do not hold "
            "it exactly; write the column as int64"
        )
    return np.asarray(made.values.to_numpy(), dtype=np.int64)


def _series(table: pa.Table, target: str, observer: str) -> FloatArray:
    lists = [table.column(name).to_pylist() for name in (target, observer)]
    width = max((len(row) for rows in lists for row in rows), default=1)
    padded = [np.array([row + [0.0] * (width - len(row)) for row in rows]).reshape(-1, width) for rows in lists]
    return np.asarray(padded[0] - padded[1], dtype=np.float64)
