"""How far sources lie from their objects, in units of their errors.

An object's position is the unweighted mean of its n sources, this one among
them. The difference of a source from that mean has the variance

    sigma_i**2 (1 - 2/n) + mean(sigma**2) / n

along each axis, if the errors are right and independent. Divided by its root,
the separation follows a Rayleigh distribution of scale 1, whatever n is. The
mean runs over the object's sources of the night, the only ones that are read.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.sky.vectors import separation_arcsec

FAR: Final = 6.0
"""Expected errors beyond which right errors leave one source in sixty million."""


@dataclass(frozen=True, slots=True)
class Separations:
    """Distances of sources from their objects, for objects with two sources or more.

    Attributes
    ----------
    row : `numpy.ndarray` [int64], shape (n,)
        Row in the table of sources.
    arcsec : `numpy.ndarray` [float64], shape (n,)
    normalised : `numpy.ndarray` [float64], shape (n,)
        In units of the expected error along an axis.
    """

    row: IntArray
    arcsec: FloatArray
    normalised: FloatArray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def error_scale(self) -> float:
        """The factor by which the errors must be multiplied to be right; NaN without separations.

        It comes from the median, which a few wrong associations do not move.
        """
        return float(np.median(self.normalised) / np.sqrt(2.0 * np.log(2.0))) if len(self) else float("nan")

    @property
    def n_far(self) -> int:
        """Sources more than `FAR` expected errors from their object."""
        return int(np.count_nonzero(self.normalised > FAR))


def separations(sources: pa.Table, objects: pa.Table) -> Separations:
    """Return how far sources are from the current positions of their objects.

    Parameters
    ----------
    sources : `pyarrow.Table`
        `~stream_assoc.tools.report.night.SOURCE_COLUMNS`.
    objects : `pyarrow.Table`
        `~stream_assoc.tools.report.night.OBJECT_COLUMNS`, each object once.
    """
    object_ids = np.asarray(objects["diaObjectId"].to_numpy(), np.int64)
    order = np.argsort(object_ids)
    owner = np.asarray(pc.fill_null(sources["diaObjectId"], 0).to_numpy(), np.int64)
    place = np.minimum(np.searchsorted(object_ids, owner, sorter=order), max(0, len(order) - 1))
    if not len(order):
        return Separations(np.empty(0, np.int64), np.empty(0), np.empty(0))
    of_object = order[place]
    n_sources = _column(objects, "nDiaSources")[of_object]
    ra_err, dec_err = _column(sources, "raErr"), _column(sources, "decErr")
    with np.errstate(invalid="ignore"):
        usable = (object_ids[of_object] == owner) & (n_sources >= 2) & (ra_err > 0.0) & (dec_err > 0.0)
    row = np.flatnonzero(usable)
    of_object, n_sources, owner = of_object[row], n_sources[row], owner[row]
    ra, dec = _column(sources, "ra")[row], _column(sources, "dec")[row]
    object_ra, object_dec = _column(objects, "ra")[of_object], _column(objects, "dec")[of_object]
    delta_ra = (ra - object_ra + 180.0) % 360.0 - 180.0
    chi_square = delta_ra**2 / _variance(ra_err[row], owner, n_sources) + (dec - object_dec) ** 2 / _variance(
        dec_err[row], owner, n_sources
    )
    return Separations(row, separation_arcsec(ra, dec, object_ra, object_dec), np.sqrt(chi_square))


def rayleigh(normalised: FloatArray) -> FloatArray:
    """Return the density of the Rayleigh distribution of scale 1."""
    return normalised * np.exp(-(normalised**2) / 2.0)


def _variance(error: FloatArray, owner: IntArray, n_sources: FloatArray) -> FloatArray:
    """Return the variance of a source's distance from the mean of its object."""
    _, index = np.unique(owner, return_inverse=True)
    mean = np.bincount(index, error**2) / np.bincount(index)
    return np.asarray(error**2 * (1.0 - 2.0 / n_sources) + mean[index] / n_sources)


def _column(table: pa.Table, name: str) -> FloatArray:
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)
