"""Columns that plugins of other packages compute: which may be, and where they go."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.states import LightCurves, ObjectHistories, SourcePoints
from stream_assoc.core.model.types import FloatArray, IntArray
from stream_assoc.core.statistics import StatisticsCalculator, registry


class OfAnotherPackage:
    """The number of points of each band, under the names that a test asks for."""

    version = 1
    fields: ClassVar = {"n": 0.0}
    needs_history = False

    def __init__(self, *columns: str, name: str = "other", returned: tuple[str, ...] | None = None) -> None:
        self.name, self.columns, self._returned = name, columns, returned or columns

    def fold(self, fields: FloatArray, curves: LightCurves, starts: IntArray) -> None:
        fields[:, 0] += curves.offsets[1:] - starts

    def values(self, fields: FloatArray) -> dict[str, FloatArray]:
        return {name: fields[:, 0].copy() for name in self._returned}


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[OfAnotherPackage], None]:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    return registry.register


def test_columns_of_another_package_are_rows_beside_the_objects(
    register: Callable[[OfAnotherPackage], None],
    points_of: Callable[..., SourcePoints],
    histories_of: Callable[..., ObjectHistories],
) -> None:
    register(OfAnotherPackage("n", "psfFluxSkew", "psfFluxMean"))
    calculator = StatisticsCalculator(("other",))
    assert calculator.plugin_columns == ("u_n", "g_n", "r_n", "i_n", "z_n", "y_n")
    assert calculator.computes_further
    states = calculator.rebuild(histories_of(points_of([(1, 1.0, 1, 0), (2, 2.0, 1, 0), (3, 2.0, 1, 2)]), [3]))
    further = calculator.further_rows(states)
    assert further.select(["u_n", "g_n", "r_n"]).to_pylist() == [{"u_n": 2.0, "g_n": 0.0, "r_n": 1.0}]
    # A name of ours is ours.
    assert further["u_psfFluxSkew"].to_pylist() == [2.0]
    assert calculator.object_rows(states)["u_psfFluxMean"].to_pylist() == [2.0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("a b", "no name of a column"),
        ('a"; DROP TABLE "x', "no name of a column"),
        ("", None),
        ("ä", "no name of a column"),
        ("n" * 62, "no name of a column"),
        ("n" * 61, None),
        ("PSFFLUXMEAN", "the APDB has r_psfFluxMean"),
        ("psfFluxskew", "the APDB has r_psfFluxSkew"),
    ],
)
def test_a_column_that_no_database_could_have_is_refused(
    register: Callable[[OfAnotherPackage], None], column: str, message: str | None
) -> None:
    register(OfAnotherPackage(column))
    if message is None:
        assert StatisticsCalculator(("other",)).plugin_columns[2] == f"r_{column}"
    else:
        with pytest.raises(PluginError, match=message.replace("r_", "u_")):
            StatisticsCalculator(("other",))


def test_names_that_differ_in_case_only_are_refused(register: Callable[[OfAnotherPackage], None]) -> None:
    register(OfAnotherPackage("n"))
    register(OfAnotherPackage("N", name="another"))
    with pytest.raises(PluginError, match="both compute"):
        StatisticsCalculator(("other", "another"))


def test_a_plugin_that_returns_other_columns_than_it_announces_is_told(
    register: Callable[[OfAnotherPackage], None],
    points_of: Callable[..., SourcePoints],
    histories_of: Callable[..., ObjectHistories],
) -> None:
    register(OfAnotherPackage("n", returned=("m",)))
    calculator = StatisticsCalculator(("other",))
    states = calculator.rebuild(histories_of(points_of([(1, 1.0, 1, 0)]), [1]))
    with pytest.raises(PluginError, match=r"'other' returned m.*announces the columns n"):
        calculator.further_rows(states)
