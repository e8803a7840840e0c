"""``MapApDataTask``, ``MapDiaSourceTask``: the science pipelines' catalogue to DIASources.

Counterparts of ``lsst.ap.association.mapApData`` and of what took its place
there, ``transformDiaSourceCatalog`` with ``DiaSource.yaml`` (June 2026).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from stream_assoc.core.model.schema import apdb_table
from stream_assoc.tasks import conversions
from stream_assoc.tasks.conversions import DIPOLE, Detections
from stream_assoc.tasks.exceptions import MissingColumnError, TaskConfigError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.flags import Flag, pack, read_flag_map
from stream_assoc.tasks.tables import (
    Catalog,
    arrow_table,
    data_frame,
    flag_of,
    floats,
    measured_column,
    unit_factor,
    unit_of,
)

Values: TypeAlias = "pa.Array | pa.ChunkedArray | np.ndarray[Any, Any]"

_FLUX_SUFFIXES: Final = (("_instFlux", "_instFluxErr"), ("_flux", "_fluxErr"))

_CLASSIFICATIONS: Final[Mapping[str, str]] = {
    f"{DIPOLE}_classification": "isDipole",
    f"{DIPOLE}_classificationAttempted": "dipoleFitAttempted",
    f"{DIPOLE}_chi2dof": "dipoleChi2",
    f"{DIPOLE}_nData": "dipoleNdata",
    "is_negative": "isNegative",
    "slot_PsfFlux_chi2": "psfChi2",
    "slot_PsfFlux_npixels": "psfNdata",
    "base_ClassificationSizeExtendedness_value": "extendedness",
    "snr": "snr",
    "reliability": "reliability",
    "glint_trail": "glint_trail",
}
"""Columns that need no conversion, copied where the catalogue has them."""


def _default_copy_columns() -> dict[str, str]:
    return {
        "id": "diaSourceId",
        "parent": "parentDiaSourceId",
        "slot_Centroid_x": "x",
        "slot_Centroid_xErr": "xErr",
        "slot_Centroid_y": "y",
        "slot_Centroid_yErr": "yErr",
        "slot_ApFlux_instFlux": "apFlux",
        "slot_ApFlux_instFluxErr": "apFluxErr",
        "slot_PsfFlux_instFlux": "psfFlux",
        "slot_PsfFlux_instFluxErr": "psfFluxErr",
        "ip_diffim_forced_PsfFlux_instFlux": "scienceFlux",
        "ip_diffim_forced_PsfFlux_instFluxErr": "scienceFluxErr",
    }


@dataclass(slots=True)
class MapApDataConfig:
    """Settings of `MapApDataTask`.

    Attributes
    ----------
    copyColumns : `dict` [`str`, `str`]
        Columns of the input, and the name of each in the output.
    """

    copyColumns: dict[str, str] = field(
        default_factory=lambda: {name: name for name in ("id", "parent", "coord_ra", "coord_dec")}
    )


@dataclass(slots=True)
class MapDiaSourceConfig:
    """Settings of `MapDiaSourceTask`.

    Attributes
    ----------
    copyColumns : `dict` [`str`, `str`]
        Columns of the input, and the DiaSource column each becomes.
    calibrateColumns : sequence of `str`
        Fluxes to calibrate: names without ``_instFlux`` (or ``_flux``) and
        ``_instFluxErr``. `copyColumns` tells what they become.
    flagMap : `str`, optional
        A flag map file; the packaged one by default.
    bboxColumns : `tuple` [`str`, ...]
        First and last column and first and last row of the footprint, in pixels.
    doPackFlags : `bool`
        Whether to make the packed columns of the flag map beside the
        boolean ones.
    """

    copyColumns: dict[str, str] = field(default_factory=_default_copy_columns)
    calibrateColumns: Sequence[str] = ("slot_ApFlux", "slot_PsfFlux", "ip_diffim_forced_PsfFlux")
    flagMap: str | Path | None = None
    bboxColumns: tuple[str, str, str, str] = ("bbox_minX", "bbox_maxX", "bbox_minY", "bbox_maxY")
    doPackFlags: bool = True


class MapApDataTask:
    """Copy columns of a catalogue under new names.

    Parameters
    ----------
    inputSchema : `pyarrow.Schema` or iterable of `str`
        The columns of the catalogues to come.
    outputSchema : `pyarrow.Schema`, optional
        Columns and types of the result. By default the copied columns in
        their own types.
    config : `MapApDataConfig`, optional

    Raises
    ------
    MissingColumnError
        If a schema lacks a column that the configuration names. It is a `KeyError`.
    """

    ConfigClass: ClassVar[type] = MapApDataConfig

    def __init__(
        self,
        inputSchema: pa.Schema | Iterable[str],
        outputSchema: pa.Schema | None = None,
        config: MapApDataConfig | None = None,
    ) -> None:
        self.config = config if config is not None else MapApDataConfig()
        self._output = outputSchema
        _require(_names(inputSchema), self.config.copyColumns, "the input schema")
        if outputSchema is not None:
            _require(_names(outputSchema), self.config.copyColumns.values(), "the output schema")

    def run(self, inputCatalog: Catalog, exposure: Exposure | None = None) -> pd.DataFrame:
        """Return the copied columns.

        Parameters
        ----------
        inputCatalog : `astropy.table.Table`, `pandas.DataFrame` or `pyarrow.Table`
        exposure : `Exposure`, optional
            Not used.

        Returns
        -------
        outputCatalog : `pandas.DataFrame`
            Rows in their order; identifiers stay integers. Columns of the
            output schema that nothing is copied to are missing values.

        Raises
        ------
        CatalogError
            If a column is missing or cannot be converted.
        """
        table = arrow_table(inputCatalog, self.config.copyColumns)
        copied = _copied(table, self.config.copyColumns)
        if self._output is None:
            return data_frame(copied)
        columns = [measured_column(copied, output) for output in self._output]
        return data_frame(pa.Table.from_arrays(columns, schema=self._output))


class MapDiaSourceTask:
    """Turn the detections of an exposure into DIASources.

    Parameters
    ----------
    inputSchema : `pyarrow.Schema` or iterable of `str`
        The columns of the catalogues to come.
    config : `MapDiaSourceConfig`, optional

    Raises
    ------
    MissingColumnError
        If the input lacks a column or flag that the configuration names. It is a `KeyError`.
    TaskConfigError
        If a calibrated flux is not among the copied columns.
    FlagMapError
        If the flag map cannot be used.

    Notes
    -----
    These are made beside the copied columns, where the input has what they
    are made of (``base_LocalPhotoCalib`` and ``base_LocalWcs_CDMatrix_*``
    take the place of the exposure's mean calibration and scale):

    ================== ==========================================================
    column             from
    ================== ==========================================================
    ra, dec, errors    ``coord_*``, in the column's unit, else radians
    fluxes             instrumental flux times calibration, nJy
    dipoleMeanFlux     mean of the absolute fluxes of both lobes, nJy
    dipoleFluxDiff     absolute positive minus absolute negative flux, nJy
    dipoleLength       ``_separation`` in pixels times the pixel scale, arcsec
    ixx, ..., iyyPSF   second moments times the squared pixel scale, arcsec²
    bboxSize           size of the square around the centroid that holds the footprint
    isDipole, ...      what the dipole fit classified
    ================== ==========================================================
    """

    ConfigClass: ClassVar[type] = MapDiaSourceConfig

    def __init__(
        self,
        inputSchema: pa.Schema | Iterable[str],
        config: MapDiaSourceConfig | None = None,
    ) -> None:
        self.config = config if config is not None else MapDiaSourceConfig()
        self._flags = read_flag_map(self.config.flagMap)
        _require(_names(inputSchema), self._inputs(), "the input schema")
        self._fluxes = [self._flux_and_error(name) for name in self.config.calibrateColumns]

    def run(self, inputCatalog: Catalog, exposure: Exposure) -> pd.DataFrame:
        """Return the DIASources of an exposure, ready for `DiaPipelineTask`.

        Parameters
        ----------
        inputCatalog : `astropy.table.Table`, `pandas.DataFrame` or `pyarrow.Table`
            Detections with instrumental fluxes.
        exposure : `Exposure`
            Gives visit, detector, band, time, calibration and pixel scale.

        Returns
        -------
        outputCatalog : `pandas.DataFrame`
            Rows in their order, DiaSource columns in their Rubin types, and
            the packed columns of the flag map (int64).

        Raises
        ------
        CatalogError
            If a column is missing or cannot be converted.
        ExposureError
            If fluxes are to be calibrated, or lengths converted, and neither
            the catalogue nor the exposure says how.
        """
        table = arrow_table(inputCatalog, self._read())
        _require(frozenset(table.column_names), self._inputs(), "the catalogue")
        detections = Detections(table, exposure)
        calibrated_columns = {name for pair in self._fluxes for name in pair}
        made: dict[str, Values] = {
            target: _in_rubin_unit(table, name, target)
            for name, target in self.config.copyColumns.items()
            if name not in calibrated_columns
        }
        made |= _classifications(table)
        made |= conversions.coordinates(detections)
        for flux, error in self._fluxes:
            values = conversions.calibrated(detections, flux, error)
            made |= zip((self.config.copyColumns[flux], self.config.copyColumns[error]), values, strict=True)
        made |= conversions.dipoles(detections)
        made |= conversions.shapes(detections)
        made |= self._sizes(detections)
        made |= self._unpacked_and_packed(table)
        n = table.num_rows
        made |= {
            "visit": pa.repeat(exposure.visit, n),
            "detector": pa.repeat(exposure.detector, n),
            "band": pa.repeat(exposure.band, n),
            "midpointMjdTai": pa.repeat(exposure.midpointMjdTai, n),
            "exposureTime": pa.repeat(pa.scalar(exposure.exposureTime, pa.float32()), n),
        }
        return data_frame(_in_rubin_types(made))

    def _inputs(self) -> list[str]:
        return [*self.config.copyColumns, *(flag.name for flag in self._all_flags())]

    def _read(self) -> frozenset[str]:
        """Return every column that is looked at."""
        return frozenset({*self._inputs(), *_CLASSIFICATIONS, *conversions.CONVERTED, *self.config.bboxColumns})

    def _all_flags(self) -> list[Flag]:
        return [flag for flags in self._flags.values() for flag in flags]

    def _flux_and_error(self, name: str) -> tuple[str, str]:
        """Return the columns of a calibrated flux."""
        for suffix, error_suffix in _FLUX_SUFFIXES:
            columns = name + suffix, name + error_suffix
            if all(column in self.config.copyColumns for column in columns):
                return columns
        raise TaskConfigError(f"calibrateColumns names {name!r}, so copyColumns must hold its flux and error")

    def _sizes(self, detections: Detections) -> dict[str, Values]:
        sources = {target: name for name, target in self.config.copyColumns.items()}
        if not {"x", "y"} <= sources.keys() or not detections.has(*self.config.bboxColumns):
            return {}
        left, right, bottom, top = (detections.column(name) for name in self.config.bboxColumns)
        x, y = (detections.column(sources[name]) for name in "xy")
        return {"bboxSize": conversions.bounding_box_size(x, y, (left, right, bottom, top))}

    def _unpacked_and_packed(self, table: pa.Table) -> dict[str, Values]:
        values = {flag.name: flag_of(table, flag.name) for flag in self._all_flags()}
        made: dict[str, Values] = {flag.column: values[flag.name] for flag in self._all_flags() if flag.column}
        if self.config.doPackFlags:
            made |= {column: pack(flags, values) for column, flags in self._flags.items()}
        return made


def _names(schema: pa.Schema | Iterable[str]) -> frozenset[str]:
    return frozenset(schema.names if isinstance(schema, pa.Schema) else schema)


def _require(names: frozenset[str], needed: Iterable[str], where: str) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise MissingColumnError(f"{where} has no column {', '.join(missing)}, which the configuration names")


def _copied(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    _require(frozenset(table.column_names), columns, "the catalogue")
    return table.select(list(columns)).rename_columns(list(columns.values()))


def _classifications(table: pa.Table) -> dict[str, Values]:
    return {target: table.column(name) for name, target in _CLASSIFICATIONS.items() if name in table.column_names}


def _in_rubin_unit(table: pa.Table, name: str, target: str) -> Values:
    """Return a copied column, in the unit of the DiaSource column it becomes if it says that it is in another."""
    unit = unit_of(table, name)
    if not unit or target not in apdb_table("DiaSource").names:
        return table.column(name)
    factor = unit_factor(unit, apdb_table("DiaSource").column(target).unit, name)
    return table.column(name) if factor == 1.0 else floats(table, name) * factor


def _in_rubin_types(made: Mapping[str, Values]) -> pa.Table:
    """Return the columns as a table: those of DiaSource in their types, the others in their own."""
    known = set(apdb_table("DiaSource").names)
    table = pa.table(
        {
            name: pa.array(values, from_pandas=True) if isinstance(values, np.ndarray) else values
            for name, values in made.items()
        }
    )
    fields = [
        apdb_table("DiaSource").column(name).arrow_field() if name in known else table.schema.field(name)
        for name in table.column_names
    ]
    columns = [measured_column(table, one) for one in fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
