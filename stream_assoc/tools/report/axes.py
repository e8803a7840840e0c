"""What the figures of a night have in common: time axes, points and legends."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import utc_of
from stream_assoc.core.model.types import BANDS
from stream_assoc.tools.report.theme import BAND_COLOURS, PICTURE_COLOURS

_MOST_SHAPES: Final = 1_500
"""More points than that are drawn as a picture, which does not grow with their number."""

_SHORT_MINUTES: Final = 15.0
"""A shorter time is told in seconds."""


def observed(metrics: Sequence[AssociationMetrics]) -> list[datetime]:
    """Return when batches were observed."""
    return [utc_of(one.midpointMjdTai) for one in metrics]


def dates(times: Sequence[datetime]) -> npt.NDArray[np.float64]:
    """Return times as matplotlib counts them."""
    return np.asarray(mdates.date2num(list(times)), np.float64)  # type: ignore[no-untyped-call]


def points(
    axes: Axes, times: Sequence[datetime], values: npt.ArrayLike, colour: str, label: str | None = None
) -> None:
    """Draw a point for each batch: as shapes in the page's colours, or, if they are many, as a picture."""
    are_many = len(times) > _MOST_SHAPES
    shown = PICTURE_COLOURS[colour] if are_many else colour
    axes.plot(dates(times), values, ".", ms=3, color=shown, label=label, rasterized=are_many)


def by_band(axes: Axes, metrics: Sequence[AssociationMetrics], value: Callable[[AssociationMetrics], float]) -> None:
    """Draw a value of each batch over the night, in the colour of its band."""
    bands = [band for band in BANDS if any(one.band == band for one in metrics)]
    for band in bands:
        mine = [one for one in metrics if one.band == band]
        points(axes, observed(mine), list(map(value, mine)), BAND_COLOURS[band], band)
    time_axis(axes)
    if bands:
        legend_above(axes, len(bands))


def by_visit(metrics: Sequence[AssociationMetrics]) -> list[list[AssociationMetrics]]:
    """Return the batches of each visit, in the order observed."""
    visits: dict[int, list[AssociationMetrics]] = {}
    for one in metrics:
        visits.setdefault(one.visit, []).append(one)
    return sorted(visits.values(), key=lambda batches: batches[0].midpointMjdTai)


def bar_days(times: Sequence[datetime]) -> float:
    """Return the width of bars that just touch where visits follow each other at once."""
    gaps = np.diff(np.sort(dates(times)))
    gaps = gaps[gaps > 0.0]
    return float(np.median(gaps)) * 0.9 if len(gaps) else 30.0 / 86_400.0


def time_axis(axes: Axes, label: str = "UTC") -> None:
    """Write the times of an axis."""
    axes.xaxis_date()
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    begin, end = axes.get_xlim()
    shown = "%H:%M" if (end - begin) * 1440.0 > _SHORT_MINUTES else "%H:%M:%S"
    axes.xaxis.set_major_formatter(mdates.DateFormatter(shown))  # type: ignore[no-untyped-call]
    axes.set_xlabel(label)


def legend_above(axes: Axes, n_columns: int) -> None:
    """Put the legend over the axes, where it hides nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=n_columns,
        borderaxespad=0.2,
        columnspacing=1.2,
        markerscale=2.5,
    )
