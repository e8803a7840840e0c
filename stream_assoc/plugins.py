"""What the author of a statistics plugin imports; the names in ``__all__`` stay where they are.

A plugin is an object with the attributes and methods of one of four protocols:

* `BandPlugin`: a statistic of each object in each band;
* `ForcedPlugin`: a `BandPlugin` that also counts forced measurements;
* `ObjectPlugin`: a statistic of each object over all bands, from its new sources;
* `LightCurvePlugin`: a statistic of each object from its light curves in all bands.

Its methods receive `LightCurves` or `SourcePoints`. `kernel` compiles a loop
so that it always gives the same bits; `is_usable` is the rule by which the
built-in statistics weight a flux. A package announces its plugin with an entry
point of the group `ENTRY_POINT_GROUP`; `register` does so for one process. See
``docs/how-to/write-a-plugin.md``.
"""

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.states import LightCurves, SourcePoints
from stream_assoc.core.model.types import BANDS, BoolArray, FloatArray, IntArray
from stream_assoc.core.statistics.plugin import (
    BandPlugin,
    ForcedPlugin,
    LightCurvePlugin,
    ObjectPlugin,
    is_usable,
    kernel,
)
from stream_assoc.core.statistics.registry import ENTRY_POINT_GROUP, register

__all__ = [
    "BANDS",
    "ENTRY_POINT_GROUP",
    "BandPlugin",
    "BoolArray",
    "FloatArray",
    "ForcedPlugin",
    "IntArray",
    "LightCurvePlugin",
    "LightCurves",
    "ObjectPlugin",
    "PluginError",
    "SourcePoints",
    "is_usable",
    "kernel",
    "register",
]
