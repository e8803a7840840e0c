"""``LoadDiaCatalogsTask``: what the APDB knows of an exposure's patch of sky.

Counterpart of ``lsst.ap.association.loadDiaCatalogs`` (June 2026). It reads
through ``lsst.dax.apdb``, for use in notebooks and in tests of algorithms; the
daemon reads what it needs faster, through `stream_assoc.stores.apdb`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import astropy.time
import numpy as np
import pandas as pd
import sqlalchemy.exc
from lsst.dax.apdb import Apdb
from lsst.sphgeom import Angle, ConvexPolygon, Region, UnitVector3d

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.core.sky.region import ConvexFootprint
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backends import parse_url
from stream_assoc.tasks.exceptions import TaskConfigError
from stream_assoc.tasks.exposure import Exposure

_BEGINNING_MJD = 0.0


@dataclass(slots=True)
class LoadDiaCatalogsConfig:
    """Settings of `LoadDiaCatalogsTask`.

    Attributes
    ----------
    apdb_url : `str`
        The APDB: ``sqlite:///path`` or ``postgresql://...``. Takes the place
        of upstream's ``apdb_config_url``.
    apdb_namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    angleMargin : `float`
        How far around the exposure objects are loaded, arcsec.
    doLoadForcedSources : `bool`
        Whether forced sources are loaded as well.
    history_window : `float`, optional
        Days of history before the midpoint; upstream's twelve months of
        thirty days by default. `None`: all.
    """

    apdb_url: str = field(default="sqlite:///stream-assoc.sqlite3", repr=False)
    apdb_namespace: str | None = None
    angleMargin: float = 20.0
    doLoadForcedSources: bool = True
    history_window: float | None = 360.0


@dataclass(frozen=True, slots=True)
class LoadedCatalogs:
    """Catalogues of one patch of sky; identifiers are ``int64`` or ``Int64``.

    Attributes
    ----------
    diaObjects : `pandas.DataFrame`
        The current version of each object, the columns of DiaObjectLast;
        indexed by ``diaObjectId``.
    diaSources : `pandas.DataFrame`
        Their history, indexed by ``diaObjectId``, ``band`` and ``diaSourceId``.
    diaForcedSources : `pandas.DataFrame`
        Indexed by ``diaObjectId`` and ``diaForcedSourceId``.
    """

    diaObjects: pd.DataFrame
    diaSources: pd.DataFrame
    diaForcedSources: pd.DataFrame


class LoadDiaCatalogsTask:
    """Load the objects around an exposure and their history up to its midpoint.

    Parameters
    ----------
    config : `LoadDiaCatalogsConfig`, optional

    Raises
    ------
    TaskConfigError
        If a setting is out of range.
    ApdbConfigurationError
        If ``apdb_url`` is of another kind of database.
    """

    ConfigClass: ClassVar = LoadDiaCatalogsConfig

    def __init__(self, config: LoadDiaCatalogsConfig | None = None) -> None:
        self.config = config if config is not None else LoadDiaCatalogsConfig()
        if not 0 <= self.config.angleMargin <= 3600:
            raise TaskConfigError(f"angleMargin must be from 0 to 3600 arcsec, not {self.config.angleMargin}")
        if self.config.history_window is not None and not self.config.history_window > 0:
            raise TaskConfigError(f"history_window must be above 0 days, not {self.config.history_window}; None: all")
        self._apdb = Apdb.from_config(parse_url(self.config.apdb_url, self.config.apdb_namespace).dax_config())

    def run(self, exposure: Exposure) -> LoadedCatalogs:
        """Load the catalogues of an exposure.

        Parameters
        ----------
        exposure : `Exposure`
            Its footprint and midpoint are used.

        Returns
        -------
        catalogs : `LoadedCatalogs`
            Every object in the footprint grown by ``angleMargin``, and of
            these objects every source and forced source that was not
            withdrawn and whose midpoint is after the beginning of the history
            window and not after the exposure's.

        Raises
        ------
        InvalidFootprintError
            If the footprint is no convex outline on the sky.
        ApdbUnavailableError
            If the database cannot be read now.

        Notes
        -----
        Upstream's result may hold objects outside of the region and sources
        after the midpoint; these are left out here.
        """
        footprint = ConvexFootprint.from_vertices(exposure.footprint)
        region = self._region(footprint)
        try:
            objects = self._apdb.getDiaObjects(region)
            ra, dec = (objects[name].to_numpy(np.float64) for name in ("ra", "dec"))
            objects = objects[footprint.contains(ra, dec, self.config.angleMargin)]
            ids = objects["diaObjectId"].tolist()
            window = self.config.history_window
            begin = _BEGINNING_MJD if window is None else exposure.midpointMjdTai - window
            visit_time, start_time = _time(exposure.midpointMjdTai), _time(begin)
            sources = self._apdb.getDiaSources(region, ids, visit_time, start_time)
            forced_ids = ids if self.config.doLoadForcedSources else []
            forced = self._apdb.getDiaForcedSources(region, forced_ids, visit_time, start_time)
        except sqlalchemy.exc.OperationalError as error:
            raise ApdbUnavailableError(f"the APDB cannot be read now: {error.orig}") from error
        end = exposure.midpointMjdTai
        return LoadedCatalogs(
            diaObjects=_indexed(objects, "DiaObjectLast", ["diaObjectId"]),
            diaSources=_indexed(_counting(sources, end), "DiaSource", ["diaObjectId", "band", "diaSourceId"]),
            diaForcedSources=_indexed(
                _counting(forced, end), "DiaForcedSource", ["diaObjectId", "diaForcedSourceId"]
            ),
        )

    def _region(self, footprint: ConvexFootprint) -> Region:
        polygon = ConvexPolygon([UnitVector3d(x, y, z) for x, y, z in footprint.corners.tolist()])
        return polygon.getBoundingCircle().dilatedBy(Angle.fromDegrees(self.config.angleMargin / 3600.0))


def _time(mjd: float) -> astropy.time.Time:
    return astropy.time.Time(mjd, format="mjd", scale="tai")


def _counting(catalog: pd.DataFrame | None, end: float) -> pd.DataFrame:
    """Return the rows that count at a time: taken by then, and never withdrawn."""
    if catalog is None:
        raise TypeError("dax_apdb gives no catalogue only where no start of the history is given")
    return catalog[(catalog["midpointMjdTai"] <= end) & catalog["timeWithdrawnMjdTai"].isna()]


def _indexed(catalog: pd.DataFrame, table: str, index: list[str]) -> pd.DataFrame:
    """Return the catalogue in the types of its table and indexed by its keys, which stay columns."""
    required = {
        column.name: "int64"
        for column in apdb_table(table).columns
        if column.datatype == "long" and not column.nullable
    }
    return catalog.astype(required).set_index(index, drop=False)
