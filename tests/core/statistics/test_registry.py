from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.states import ObjectHistories, SourcePoints
from stream_assoc.core.statistics import PRODUCTION_PLUGINS, StatisticsCalculator, registry
from stream_assoc.core.statistics.moments import SigmaFlux
from stream_assoc.exceptions import FatalError

announced_plugin = SigmaFlux("announced", "scienceFlux")


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def announce(name: str, value: str) -> None:
        entries = EntryPoints([EntryPoint(name, value, registry.ENTRY_POINT_GROUP)])
        monkeypatch.setattr(registry, "entry_points", lambda group: entries.select(group=group))

    return announce


def test_upstreams_names_are_known() -> None:
    assert set(registry.ALL_PLUGINS) < set(registry.plugin_names())
    assert set(PRODUCTION_PLUGINS) < set(registry.ALL_PLUGINS)
    assert len(registry.ALL_PLUGINS) == 17
    for name in registry.plugin_names():
        assert registry.find_plugin(name).name == name


def test_an_unknown_name_is_fatal_and_names_the_nearest() -> None:
    with pytest.raises(
        PluginError, match="no statistics plugin 'ap_meanFluxx'; did you mean 'ap_meanFlux'"
    ) as caught:
        StatisticsCalculator(("ap_meanFluxx",))
    assert isinstance(caught.value, FatalError)


def test_a_registered_plugin_is_computed(
    points_of: Callable[[Sequence[tuple[float, ...]]], SourcePoints],
    histories_of: Callable[[SourcePoints, Sequence[int]], ObjectHistories],
) -> None:
    registry.register(SigmaFlux("mine", "scienceFlux"))
    calculator = StatisticsCalculator(("mine",))
    states = calculator.rebuild(histories_of(points_of([(1, 1.0, 1, 0), (2, 2.0, 1, 0)]), [2]))
    assert calculator.statistics(states)["u_scienceFluxSigma"] == pytest.approx([np.sqrt(2)])


def test_a_name_is_given_once() -> None:
    with pytest.raises(PluginError, match="'ap_meanFlux' is taken"):
        registry.register(SigmaFlux("ap_meanFlux", "psfFlux"))


def test_what_is_no_plugin_is_refused() -> None:
    with pytest.raises(PluginError, match="no statistics plugin"):
        registry.register("ap_meanFlux")  # type: ignore[arg-type]


def test_an_announced_plugin_is_found(announce: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_assoc.core.statistics.moments.announced", announced_plugin, raising=False)
    announce("announced", "stream_assoc.core.statistics.moments:announced")
    assert "announced" in registry.plugin_names()
    assert registry.find_plugin("announced") is announced_plugin
    with pytest.raises(PluginError, match="is taken"):
        registry.register(announced_plugin)


@pytest.mark.parametrize("value", ["no_such_package:plugin", "stream_assoc.core.statistics.moments:no_such_plugin"])
def test_an_announced_plugin_that_cannot_be_imported_is_fatal(
    announce: Callable[[str, str], None], value: str
) -> None:
    announce("announced", value)
    with pytest.raises(PluginError, match="cannot be imported"):
        registry.find_plugin("announced")


def test_an_announced_plugin_of_another_name_is_fatal(announce: Callable[[str, str], None]) -> None:
    announce("announced", "stream_assoc.core.statistics.stetson:StetsonJ")
    with pytest.raises(PluginError, match="no statistics plugin of that name"):
        registry.find_plugin("announced")
