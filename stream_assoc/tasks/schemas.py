"""Minimal schemas of the catalogues that the tasks work on.

Counterpart of ``lsst.ap.association.afwUtils`` (June 2026). Upstream types its
``lsst.afw.table`` schemas by hand after an older APDB; here they are Arrow
schemas, read from ``lsst-sdm-schemas``, so that names, types, units and texts
are those of the database that the rows go to. Every field's metadata holds
``unit`` (FITS, empty when dimensionless) and ``description``.
"""

from collections.abc import Sequence

import pyarrow as pa

from stream_assoc.core.model.schema import PIXEL_ID, apdb_table
from stream_assoc.core.model.types import BANDS
from stream_assoc.tasks.exceptions import TaskConfigError

_PER_BAND = (
    ("psfFluxPercentile05", "nJy", "5th percentile of psfFlux, {band} filter."),
    ("psfFluxPercentile25", "nJy", "25th percentile of psfFlux, {band} filter."),
    ("psfFluxPercentile50", "nJy", "50th percentile of psfFlux, {band} filter."),
    ("psfFluxPercentile75", "nJy", "75th percentile of psfFlux, {band} filter."),
    ("psfFluxPercentile95", "nJy", "95th percentile of psfFlux, {band} filter."),
    ("psfFluxChi2", "", "Chi-squared of psfFlux about its weighted mean, {band} filter."),
    ("psfFluxMAD", "nJy", "Median absolute deviation of psfFlux, not scaled, {band} filter."),
    ("psfFluxSkew", "", "Bias-corrected skewness of psfFlux, {band} filter."),
    ("psfFluxStetsonJ", "", "Stetson's J of psfFlux, {band} filter."),
    ("psfFluxLinearSlope", "nJy/d", "Slope of the weighted linear fit to psfFlux, {band} filter."),
    ("psfFluxLinearIntercept", "nJy", "Value at MJD 0 of the weighted linear fit to psfFlux, {band} filter."),
    ("scienceFluxSigma", "nJy", "Standard deviation of scienceFlux, {band} filter."),
)


def make_dia_object_schema(filter_names: Sequence[str] | None = None) -> pa.Schema:
    """Return the schema of DIAObjects with all their summary statistics.

    Parameters
    ----------
    filter_names : `~collections.abc.Sequence` [`str`], optional
        Bands to have columns for, of ``u, g, r, i, z, y``; all of them by default.

    Returns
    -------
    schema : `pyarrow.Schema`
        The APDB's DiaObject columns without those of other bands, then
        ``pixelId``, ``flags``, and in float64 the statistics that the APDB
        has no column for. Fluxes nJy, angles degrees, times MJD TAI.

    Raises
    ------
    TaskConfigError
        If a filter is not one of Rubin's.
    """
    bands = BANDS if filter_names is None else tuple(filter_names)
    unknown = [band for band in bands if band not in BANDS]
    if unknown:
        raise TaskConfigError(f"filter_names: {', '.join(unknown)} is none of {', '.join(BANDS)}")
    others = tuple(f"{band}_" for band in BANDS if band not in bands)
    fields = [
        column.arrow_field() for column in apdb_table("DiaObject").columns if not column.name.startswith(others)
    ]
    fields += [
        PIXEL_ID.arrow_field(),
        _field("flags", pa.int64(), "", "1 when any of the object's sources is flagged."),
    ]
    fields += [
        _field(f"{band}_{name}", pa.float64(), unit, text.format(band=band))
        for band in bands
        for name, unit, text in _PER_BAND
    ]
    return pa.schema(fields)


def make_dia_source_schema() -> pa.Schema:
    """Return the schema of DIASources.

    Returns
    -------
    schema : `pyarrow.Schema`
        The APDB's DiaSource columns and ``pixelId``. Fluxes nJy, angles
        degrees, times MJD TAI.
    """
    return apdb_table("DiaSource").arrow_schema().append(PIXEL_ID.arrow_field())


def make_dia_forced_source_schema() -> pa.Schema:
    """Return the schema of forced sources at the positions of DIAObjects.

    Returns
    -------
    schema : `pyarrow.Schema`
        The APDB's DiaForcedSource columns. Fluxes nJy, angles degrees, times MJD TAI.
    """
    return apdb_table("DiaForcedSource").arrow_schema()


def getCcdVisitSchemaSql() -> dict[str, str]:
    """Return the columns of the CcdVisit table and their SQL types, in order.

    Returns
    -------
    columns : `dict` [`str`, `str`]
        Ready for ``CREATE TABLE``. Positions and their names (``decl``) are
        upstream's, degrees; ``expTime`` seconds; ``expMidptMJD`` days;
        ``calibrationMean`` and ``calibrationErr`` nJy per count.

    Notes
    -----
    The APDB of today has no such table: visit and detector are columns of
    DiaSource. The definition is kept for databases of the prototype.
    """
    return {
        "ccdVisitId": "INTEGER PRIMARY KEY",
        "ccdNum": "INTEGER",
        "filterName": "TEXT",
        "filterId": "INTEGER",
        "ra": "REAL",
        "decl": "REAL",
        "expTime": "REAL",
        "expMidptMJD": "REAL",
        "calibrationMean": "REAL",
        "calibrationErr": "REAL",
    }


def _field(name: str, arrow_type: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, arrow_type, metadata={"unit": unit, "description": description})
