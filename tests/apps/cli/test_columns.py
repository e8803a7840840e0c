"""Which columns of a table fit."""

import io

import pytest
from rich.console import Console

from stream_assoc.apps.cli.live import Column, fitting
from stream_assoc.apps.cli.views import METRICS_VIEW, OBJECTS_VIEW, metrics_cells, object_cells
from stream_assoc.tools.subscription.records import DiaObjectUpdate
from tests.outputs import metrics_of

COLUMNS = (Column("id"), Column("a", 1), Column("b", 3), Column("c", 2), Column("d", 3))
ROWS = (["12345678", "1", "2", "", "4"], ["9", "11", "22", "", "44"])


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, [0, 1, 2, 4]),
        (27, [0, 1, 2, 4]),
        (26, [0, 1, 2]),
        (22, [0, 1, 2]),
        (21, [0, 1]),
        (16, [0]),
        (5, [0]),
    ],
)
def test_the_least_important_are_left_out_first_and_those_of_nothing_always(width: int, shown: list[int]) -> None:
    assert fitting(COLUMNS, ROWS, width) == shown


def test_before_the_first_row_all_headings_are_shown() -> None:
    assert fitting(COLUMNS, (), 80) == [0, 1, 2, 3, 4]


def printed(table: object, width: int) -> str:
    written = io.StringIO()
    Console(file=written, width=width).print(table)
    return written.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 150])
def test_no_id_and_no_heading_is_cut(width: int) -> None:
    metrics = [metrics_cells(metrics_of(2025112001001, detector=188, numDiaSources=123_456))]
    text = printed(METRICS_VIEW.table(metrics, 1, width), width)
    assert "2025112001001" in text
    assert "188" in text
    assert "…" not in text
    columns = {"diaObjectId": 2**62, "ra": 150.0, "dec": -2.0, "nDiaSources": 4, "r_psfFluxMean": 1234567.0}
    text = printed(OBJECTS_VIEW.table([object_cells(DiaObjectUpdate(2**62, columns))], 1, width), width)
    assert str(2**62) in text
    assert "…" not in text
    if width >= 80:
        assert "1234567" in text
        assert " y " not in text
