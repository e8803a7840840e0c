"""What a plugin of `DiaObjectCalculationTask` is.

Counterpart of the plugin classes of ``lsst.meas.base.diaCalculation`` (June
2026): a plugin written for upstream runs here with only its imports changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pandas as pd

from stream_assoc.core.statistics.registry import plugin_names
from stream_assoc.tasks.exceptions import TaskConfigError


@dataclass(slots=True)
class DiaObjectCalculationPluginConfig:
    """Settings of one plugin; the base class has none."""


class DiaObjectCalculationPlugin:
    """Base of the plugins of `DiaObjectCalculationTask`.

    A subclass overrides `calculate` and the attributes, and is made known with
    `register`. A plugin that should also run in the daemon is better written as
    one of `stream_assoc.core.statistics.plugin`; the task finds those by name, too.

    Parameters
    ----------
    config : `DiaObjectCalculationPluginConfig`, optional
        Of the class's ``ConfigClass``.
    name : `str`, optional
        The name it was asked for by.
    metadata : optional
        Accepted for upstream's signature; not used.

    Attributes
    ----------
    registry : `dict` [`str`, `type`]
        The registered classes by name.
    plugType : `str`
        ``multi``: `calculate` is called once, with grouped sources;
        ``single``: once an object, with that object's sources.
    inputCols, outputCols : `~collections.abc.Sequence` [`str`]
        DiaObject columns it needs and makes, without the ``<band>_`` prefix.
    needsFilter : `bool`
        Whether it is called for each band.
    """

    ConfigClass: ClassVar[type[DiaObjectCalculationPluginConfig]] = DiaObjectCalculationPluginConfig
    registry: ClassVar[dict[str, type["DiaObjectCalculationPlugin"]]] = {}

    DEFAULT_CATALOGCALCULATION: ClassVar[float] = 4.0
    FLUX_MOMENTS_CALCULATED: ClassVar[float] = 5.0

    plugType: str = "multi"
    inputCols: Sequence[str] = ()
    outputCols: Sequence[str] = ()
    needsFilter: bool = True

    def __init__(
        self, config: DiaObjectCalculationPluginConfig | None = None, name: str = "", metadata: object = None
    ) -> None:
        self.config = config if config is not None else self.ConfigClass()
        self.name = name

    @classmethod
    def getExecutionOrder(cls) -> float:
        """Return when it runs: after all plugins of a smaller number."""
        return cls.DEFAULT_CATALOGCALCULATION

    def calculate(self, diaObjects: pd.DataFrame, diaSources: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Write the output columns into ``diaObjects``.

        Parameters
        ----------
        diaObjects : `pandas.DataFrame`
            The objects to update, indexed by ``diaObjectId``.
        diaSources : `pandas.api.typing.DataFrameGroupBy` or `pandas.DataFrame`
            All their sources, grouped by ``diaObjectId`` and indexed by
            (diaObjectId, band, diaSourceId); a single plugin gets the rows of
            one object, indexed by (band, diaSourceId).
        **kwargs
            ``filterDiaSources``, the same in one band, and ``band`` (both
            `None` when ``needsFilter`` is false); for a single plugin ``diaObjectId``.
        """
        raise NotImplementedError(f"the plugin {self.name!r} has no calculate()")


PluginClass = TypeVar("PluginClass", bound=type[DiaObjectCalculationPlugin])


def register(name: str) -> Callable[[PluginClass], PluginClass]:
    """Return a class decorator that makes a plugin known in this process.

    Parameters
    ----------
    name : `str`
        What ``config.plugins`` calls it.

    Raises
    ------
    TaskConfigError
        If the name is taken, or the class is no plugin.
    """

    def add(plugin: PluginClass) -> PluginClass:
        if not issubclass(plugin, DiaObjectCalculationPlugin):
            raise TaskConfigError(f"{plugin.__name__} is no DiaObjectCalculationPlugin")
        taken = DiaObjectCalculationPlugin.registry.get(name, plugin) is not plugin
        if taken or name in plugin_names():
            raise TaskConfigError(f"the plugin name {name!r} is taken; register {plugin.__name__} under another")
        DiaObjectCalculationPlugin.registry[name] = plugin
        return plugin

    return add
