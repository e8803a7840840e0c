"""Settings of `DiaPipelineTask`, and the daemon's settings of the same meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from stream_assoc.core.model.types import BAD_FLAGS, BANDS
from stream_assoc.core.statistics.registry import FORCED_PLUGIN, PRODUCTION_PLUGINS
from stream_assoc.settings import Settings
from stream_assoc.tasks.association import AssociationConfig
from stream_assoc.tasks.connections import DiaPipelineConnections
from stream_assoc.tasks.forced_source import DiaForcedSourcedConfig

UPSTREAM_HISTORY_WINDOW: Final = 360.0
"""Days of history that upstream reads: twelve months of thirty days (``read_sources_months`` of dax_apdb)."""

_SETTINGS: Final[Mapping[str, tuple[str, str]]] = {
    "apdb_url": ("apdb", "url"),
    "apdb_namespace": ("apdb", "namespace"),
    "validBands": ("batch", "bands"),
    "newObjectBadFlags": ("new_objects", "bad_flags"),
    "newObjectReliabilityThreshold": ("new_objects", "min_reliability"),
    "newObjectSnrThreshold": ("new_objects", "min_snr"),
    "maxNewDiaObjects": ("new_objects", "max_new_dia_objects"),
    "plugins": ("statistics", "plugins"),
    "flagColumns": ("statistics", "flag_columns"),
    "angleMargin": ("sky", "angle_margin_arcsec"),
    "tile_level": ("sky", "tile_level"),
    "cell_level": ("sky", "cell_level"),
    "pin_clock_mjd": ("daemon", "pin_clock_mjd"),
    "keepSolarSystemIds": ("association", "keep_solar_system_ids"),
}
"""Fields of the configuration, and the section and name of the daemon's setting of the same meaning."""

_ASSOCIATION: Final[Mapping[str, str]] = {
    "maxDistArcSeconds": "max_distance_arcsec",
    "sigmaFloorArcSeconds": "sigma_floor_arcsec",
    "fallbackSigmaArcSeconds": "fallback_sigma_arcsec",
}

_ZERO_IS_UNSET: Final = frozenset({"newObjectSnrThreshold", "maxNewDiaObjects"})
"""Fields that 0 turns off, as upstream; the daemon's settings are then left unset."""


@dataclass(slots=True)
class DiaPipelineConfig:
    """Settings of `DiaPipelineTask`, with upstream's names and defaults where upstream has them.

    Attributes
    ----------
    apdb_url : `str`
        The APDB: ``sqlite:///path`` or ``postgresql://...``. Takes the place
        of upstream's ``apdb_config_url``.
    apdb_namespace : `str`, optional
        PostgreSQL schema that holds the tables.
    validBands : sequence of `str`
        Bands accepted.
    associator : `AssociationConfig`
    solar_system_radius : `float`
        Largest separation from a predicted solar-system object, arcsec.
    plugins : sequence of `str`, optional
        Names of the statistics; upstream's ``diaCalculation.plugins``. The
        production set by default.
    flagColumns : sequence of `str`
        DiaSource flags that ``ap_diaObjectFlag`` watches.
    doSolarSystemAssociation : `bool`
        Whether known solar-system objects claim their sources.
    keepSolarSystemIds : `bool`
        Whether a source that comes with an ``ssObjectId`` belongs to that
        object: it neither joins nor creates a DIAObject.
    doRunForcedMeasurement : `bool`
        Whether fluxes are measured on the images that an exposure names.
    diaForcedSource : `DiaForcedSourcedConfig`
        Where these may be, and what is measured on them. Nothing by default.
    filterUnAssociatedSources : `bool`
        Whether the ``newObject...`` criteria hold.
    newObjectBadFlags : sequence of `str`
        Flags none of which a new object's source may carry.
    newObjectReliabilityThreshold, newObjectSnrThreshold : `float`
        Least reliability and signal-to-noise of a new object's source; 0: no cut.
    maxNewDiaObjects : `int`
        A visit that would create more is refused before anything is written; 0: no limit.
    angleMargin : `float`
        How far around the footprint objects are loaded, arcsec.
    tile_level, cell_level : `int`
        HTM levels; those of a daemon on the same APDB.
    pin_clock_mjd : `float`, optional
        Processing time, MJD TAI, instead of the clock's.
    history_window : `float`, optional
        Days before the visit's midpoint: older sources do not enter the
        statistics of the visit. Unset: all history counts. Upstream's is
        `UPSTREAM_HISTORY_WINDOW`.
    purge_edge : `float`
        Arcsec: an object that lies less far inside of the footprint is neither
        created nor updated, though its source is stored with its id. 0: none
        is lost. Upstream drops what lies outside of the image shrunk by one
        pixel, which is 1.5 pixels from the border of the outermost pixel.
    """

    apdb_url: str = field(default="sqlite:///stream-assoc.sqlite3", repr=False)
    apdb_namespace: str | None = None
    validBands: Sequence[str] = BANDS
    associator: AssociationConfig = field(default_factory=AssociationConfig)
    solar_system_radius: float = 1.0
    plugins: Sequence[str] | None = None
    flagColumns: Sequence[str] = ()
    doSolarSystemAssociation: bool = True
    keepSolarSystemIds: bool = True
    doRunForcedMeasurement: bool = True
    diaForcedSource: DiaForcedSourcedConfig = field(default_factory=DiaForcedSourcedConfig)
    filterUnAssociatedSources: bool = True
    newObjectBadFlags: Sequence[str] = BAD_FLAGS
    newObjectReliabilityThreshold: float = 0.1
    newObjectSnrThreshold: float = 0.0
    maxNewDiaObjects: int = 0
    angleMargin: float = 20.0
    tile_level: int = 10
    cell_level: int = 8
    pin_clock_mjd: float | None = None
    history_window: float | None = None
    purge_edge: float = 0.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the configuration that processes a visit as a daemon with these settings does."""
        values: dict[str, Any] = {
            name: getattr(getattr(settings, section), key) for name, (section, key) in _SETTINGS.items()
        }
        values |= {name: values[name] or 0 for name in _ZERO_IS_UNSET}
        values["apdb_url"] = settings.apdb.connection_url()
        association = settings.association
        return cls(
            associator=AssociationConfig(**{name: getattr(association, key) for name, key in _ASSOCIATION.items()}),
            solar_system_radius=association.solar_system_radius_arcsec,
            diaForcedSource=DiaForcedSourcedConfig(settings.images, settings.forced_photometry),
            **values,
        )

    def settings(self) -> Settings:
        """Return the daemon's settings of the same meaning.

        Raises
        ------
        pydantic.ValidationError
            If a value is out of range.
        """
        sections: dict[str, dict[str, Any]] = {
            "association": {key: getattr(self.associator, name) for name, key in _ASSOCIATION.items()}
        }
        sections["association"]["solar_system_radius_arcsec"] = self.solar_system_radius
        for name, (section, key) in _SETTINGS.items():
            value = getattr(self, name)
            sections.setdefault(section, {})[key] = value or None if name in _ZERO_IS_UNSET else value
        if self.doRunForcedMeasurement:
            sections["images"] = self.diaForcedSource.images.model_dump()
            sections["forced_photometry"] = self.diaForcedSource.measurement.model_dump()
            if self.diaForcedSource.photometer is not None:
                sections["statistics"]["plugins"] = (*(self.plugins or PRODUCTION_PLUGINS), FORCED_PLUGIN)
        if not self.filterUnAssociatedSources:
            sections["new_objects"] |= {"bad_flags": (), "min_reliability": 0.0, "min_snr": None}
        return Settings.model_validate(sections)

    def connections(self) -> DiaPipelineConnections:
        """Return the inputs and outputs of a task with this configuration."""
        return DiaPipelineConnections(
            solar_system=self.doSolarSystemAssociation,
            forced_photometry=self.doRunForcedMeasurement and self.diaForcedSource.is_on,
            filter_sources=self.filterUnAssociatedSources,
        )
