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
MEASURED: Final = "#0a0b0c"
"""What a figure is about, if it is of one kind."""
SECOND: Final = "#0d0e0f"
"""Another quantity in the same figure."""

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
"""The names in style.css. What the dashboard shows too has its names and its values there."""

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
"""For what is drawn as a picture, which cannot take the page's colours: legible on light and on dark."""

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
