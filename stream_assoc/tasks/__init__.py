"""The names of ``lsst.ap.association``, as facades of the other packages.

Every name of upstream's package reference is here, on the tables that upstream
takes; ``docs/from-lsst.md`` lists them with each deliberate difference. A name's
module is imported when the name is first asked for: what a task needs, such as
the APDB's own client, may take seconds to import.
"""

from importlib import import_module
from typing import Any, Final

_NAMES: Final = {
    "association": ("AssociationConfig", "AssociationResult", "AssociationTask"),
    "connections": ("DiaPipelineConnections",),
    "dia_object_calculation": (
        "DiaObjectCalculationConfig",
        "DiaObjectCalculationResult",
        "DiaObjectCalculationTask",
    ),
    "dia_pipeline": ("DiaPipelineConfig", "DiaPipelineResult", "DiaPipelineTask"),
    "exposure": ("Exposure",),
    "flags": ("UnpackApdbFlags",),
    "forced_source": ("DiaForcedSourceTask", "DiaForcedSourcedConfig"),
    "load": ("LoadDiaCatalogsConfig", "LoadDiaCatalogsTask"),
    "map_ap_data": ("MapApDataConfig", "MapApDataTask", "MapDiaSourceConfig", "MapDiaSourceTask"),
    "metrics": (
        "FractionUpdatedDiaObjectsMetricTask",
        "NumberAssociatedSolarSystemObjectsMetricTask",
        "NumberNewDiaObjectsMetricTask",
        "NumberSolarSystemObjectsMetricTask",
        "NumberUnassociatedDiaObjectsMetricTask",
        "TotalUnassociatedDiaObjectsMetricTask",
    ),
    "plugin": ("DiaObjectCalculationPlugin", "DiaObjectCalculationPluginConfig", "register"),
    "plugins": (
        "Chi2DiaPsFlux",
        "ErrMeanDiaPsFlux",
        "HTMIndexDiaPosition",
        "HTMIndexDiaPositionConfig",
        "LinearFitDiaPsFlux",
        "LombScarglePeriodogram",
        "LombScarglePeriodogramMulti",
        "MadDiaPsFlux",
        "MaxSlopeDiaPsFlux",
        "MeanDiaPosition",
        "MinMaxDiaPsFlux",
        "NumDiaSourcesDiaPlugin",
        "PercentileDiaPsFlux",
        "SigmaDiaPsFlux",
        "SigmaDiaTotFlux",
        "SimpleSourceFlagDiaPlugin",
        "SkewDiaPsFlux",
        "StatisticsPlugin",
        "StetsonJDiaPsFlux",
        "WeightedMeanDiaPsFlux",
        "WeightedMeanDiaTotFlux",
    ),
    "schemas": (
        "getCcdVisitSchemaSql",
        "make_dia_forced_source_schema",
        "make_dia_object_schema",
        "make_dia_source_schema",
    ),
}
_HOME: Final = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605 - a list is what sorted returns


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
