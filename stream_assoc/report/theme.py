"""How figures look: drawn once, legible in light and in dark.

matplotlib wants colours, a page that may be dark wants names. Figures are
drawn in colours that occur nowhere else, and each is then replaced by the
page's variable of that name.
"""

import io
import re
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

INK: Final = "#010203"
MUTED: Final = "#040506"
GRID: Final = "#070809"
BLUE: Final = "#0a0b0c"
ORANGE: Final = "#0d0e0f"
GREEN: Final = "#101112"
RED: Final = "#131415"
PURPLE: Final = "#161718"

VARIABLES: Final = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    RED: "--red",
    PURPLE: "--purple",
}

PICTURE_COLOURS: Final = {
    BLUE: "#3b82f6",
    ORANGE: "#f97316",
    GREEN: "#16a34a",
    RED: "#dc4c58",
    PURPLE: "#9566d6",
    MUTED: "#7a8896",
}
"""For what is drawn as a picture, which cannot take the page's colours: legible on light and on dark."""

BAND_COLOURS: Final = {"u": PURPLE, "g": BLUE, "r": GREEN, "i": ORANGE, "z": RED, "y": MUTED}

_PICTURE_DPI: Final = 160
"""Of the parts that are drawn as pictures."""

# matplotlib names each of its settings in a type of its own.
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    # Equal reports are equal to the byte.
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


def styled() -> Any:  # noqa: ANN401 - matplotlib names no type for it
    """Return a context in which figures are drawn for the page."""
    return mpl.rc_context(_STYLE)


def svg_of(figure: Figure) -> str:
    """Return a figure as an SVG element to stand within HTML, its colours those of the page."""
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
