"""The look of the figures: colours that follow the page, axes, points and legends.

matplotlib needs colours, but a page that may be light or dark needs names. The
figures are drawn in colours that occur nowhere else, and `svg_of` replaces each
of them by a variable of the page.
"""

import io
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.times import utc_of
from stream_assoc.core.model.types import BANDS

INK: Final = "#010203"
MUTED: Final = "#040506"
GRID: Final = "#070809"
MEASURED: Final = "#0a0b0c"
"""The main quantity of a figure."""
SECOND: Final = "#0d0e0f"
"""A second quantity in the same figure."""

ASSOCIATED: Final = "#101112"
NEW: Final = "#131415"
SOLAR: Final = "#161718"
MARGINAL: Final = "#191a1b"
DROPPED: Final = "#1c1d1e"

BAND_COLOURS: Final = {
    "u": "#1f2021",
    "g": "#222324",
    "r": "#252627",
    "i": "#28292a",
    "z": "#2b2c2d",
    "y": "#2e2f30",
}

VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    MEASURED: "--measured",
    SECOND: "--second",
    ASSOCIATED: "--associated",
    NEW: "--new",
    SOLAR: "--solar",
    MARGINAL: "--marginal",
    DROPPED: "--dropped",
    **{colour: f"--{band}" for band, colour in BAND_COLOURS.items()},
}
"""The variables of style.css. Those that the dashboard has too have the same names and values there."""

PICTURE_COLOURS: Final = {
    MEASURED: "#1c8f96",
    SECOND: "#9566d6",
    ASSOCIATED: "#1f82c0",
    NEW: "#e69f00",
    SOLAR: "#cc79a7",
    MARGINAL: "#7f7f7f",
    DROPPED: "#e0660f",
    **dict(
        zip(BAND_COLOURS.values(), ("#2f8fff", "#3db974", "#e2401a", "#e0ac00", "#f341a2", "#a8701f"), strict=True)
    ),
}
"""Colours for rasterised parts, which cannot use the page's variables: legible on light and on dark."""

_PICTURE_DPI: Final = 160
"""Resolution of the rasterised parts."""

_MOST_SHAPES: Final = 1_500
"""More points than this are rasterised; the size of a picture does not grow with their number."""

_SHORT_MINUTES: Final = 15.0
"""The axis of a shorter time shows seconds."""

# matplotlib has a literal type of all setting names.
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    # Equal nights give equal bytes.
    "svg.hashsalt": "stream_assoc",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.constrained_layout.use": True,
}


def styled() -> AbstractContextManager[None]:
    """Return a context that gives figures the style of the page."""
    return mpl.rc_context(_STYLE)


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG element for the page, in the colours of the page."""
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, dpi=_PICTURE_DPI, metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # The page gives the size, and the view box the proportions.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text


def observed(metrics: Sequence[AssociationMetrics]) -> list[datetime]:
    """Return the times of observation of batches, UTC."""
    return [utc_of(one.midpointMjdTai) for one in metrics]


def dates(times: Sequence[datetime]) -> npt.NDArray[np.float64]:
    """Return times as matplotlib's day numbers."""
    return np.asarray(mdates.date2num(list(times)), np.float64)  # type: ignore[no-untyped-call]


def points(
    axes: Axes, times: Sequence[datetime], values: npt.ArrayLike, colour: str, label: str | None = None
) -> None:
    """Draw a point for each batch; rasterise them if they are many."""
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
    """Return the batches of each visit, in order of observation."""
    visits: dict[int, list[AssociationMetrics]] = {}
    for one in metrics:
        visits.setdefault(one.visit, []).append(one)
    return sorted(visits.values(), key=lambda batches: batches[0].midpointMjdTai)


def bar_days(times: Sequence[datetime]) -> float:
    """Return the width of bars in days: 0.9 times the median gap between visits."""
    gaps = np.diff(np.sort(dates(times)))
    gaps = gaps[gaps > 0.0]
    return float(np.median(gaps)) * 0.9 if len(gaps) else 30.0 / 86_400.0


def time_axis(axes: Axes, label: str = "UTC") -> None:
    """Format the x axis as times."""
    axes.xaxis_date()
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))  # type: ignore[no-untyped-call]
    begin, end = axes.get_xlim()
    shown = "%H:%M" if (end - begin) * 1440.0 > _SHORT_MINUTES else "%H:%M:%S"
    axes.xaxis.set_major_formatter(mdates.DateFormatter(shown))  # type: ignore[no-untyped-call]
    axes.set_xlabel(label)


def legend_above(axes: Axes, n_columns: int) -> None:
    """Put the legend above the axes, where it covers nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=n_columns,
        borderaxespad=0.2,
        columnspacing=1.2,
        markerscale=2.5,
    )
