"""Every name of the ``lsst.ap.association`` package reference is importable from one place."""

import importlib
import subprocess
import sys

import pytest

from stream_assoc import tasks

UPSTREAM = """
getCcdVisitSchemaSql make_dia_object_schema make_dia_source_schema make_dia_forced_source_schema
AssociationTask AssociationConfig
DiaObjectCalculationTask DiaObjectCalculationConfig DiaObjectCalculationPlugin DiaObjectCalculationPluginConfig
MeanDiaPosition HTMIndexDiaPosition NumDiaSourcesDiaPlugin SimpleSourceFlagDiaPlugin WeightedMeanDiaPsFlux
PercentileDiaPsFlux SigmaDiaPsFlux Chi2DiaPsFlux MadDiaPsFlux SkewDiaPsFlux MinMaxDiaPsFlux MaxSlopeDiaPsFlux
ErrMeanDiaPsFlux LinearFitDiaPsFlux StetsonJDiaPsFlux WeightedMeanDiaTotFlux SigmaDiaTotFlux
DiaPipelineTask DiaPipelineConfig DiaPipelineConnections
LoadDiaCatalogsTask LoadDiaCatalogsConfig
MapApDataTask MapApDataConfig MapDiaSourceTask MapDiaSourceConfig
UnpackApdbFlags
NumberNewDiaObjectsMetricTask NumberUnassociatedDiaObjectsMetricTask
FractionUpdatedDiaObjectsMetricTask TotalUnassociatedDiaObjectsMetricTask
DiaForcedSourceTask DiaForcedSourcedConfig
""".split()  # noqa: SIM905 - a table of names reads better than a list


@pytest.mark.parametrize("name", sorted({*UPSTREAM, *tasks.__all__}))
def test_a_name_is_there_and_documented(name: str) -> None:
    assert name in tasks.__all__
    assert name in dir(tasks)
    assert getattr(tasks, name).__doc__
    assert getattr(tasks, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'AssociationTaskk'"):
        tasks.AssociationTaskk  # noqa: B018
    assert importlib.import_module("stream_assoc.tasks.association").AssociationTask is tasks.AssociationTask


def test_a_name_costs_only_its_own_module() -> None:
    code = "import sys, stream_assoc.tasks as t; t.UnpackApdbFlags; print('lsst.dax.apdb' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
