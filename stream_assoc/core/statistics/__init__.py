"""Summary statistics of DIAObjects: incremental, and equal to a recomputation.

`StatisticsCalculator` folds DIASources into `~stream_assoc.core.model.states.ObjectStates`
and turns states into DiaObject rows. What it computes is a list of plugins
(`stream_assoc.core.statistics.registry`) that carry the names of
``lsst.meas.base.diaCalculationPlugins`` and reproduce its numbers.

One rule decides about broken measurements: where upstream's answer is finite
it is ours; a point that would make it non-finite is left out of that one
statistic, and only of that one.
"""

from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.registry import ALL_PLUGINS, OPTIONAL_PLUGINS, PRODUCTION_PLUGINS, register

__all__ = ["ALL_PLUGINS", "OPTIONAL_PLUGINS", "PRODUCTION_PLUGINS", "StatisticsCalculator", "register"]
