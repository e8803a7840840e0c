"""The sky map of a night."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream_assoc.core.sky.vectors import to_radec, unit_vectors
from stream_assoc.tools.report.theme import ASSOCIATED, NEW, PICTURE_COLOURS, SOLAR, styled, svg_of

_SIZE: Final = (10.0, 4.2)

_MOST_POINTS: Final = 40_000
"""More points are thinned out: the eye sees no difference, and the file stays small."""

_KINDS: Final = (("associated", ASSOCIATED), ("new objects", NEW), ("solar system", SOLAR))

_WIDEST_FIELD_DEG: Final = 60.0
"""A wider one is drawn on the whole sky."""


def sky_map(sources: pa.Table) -> str:
    """Return where sources are: associated ones, new ones and solar-system ones."""
    with styled():
        figure = Figure(figsize=_SIZE)
        ra, dec = (np.asarray(sources[name].to_numpy(), np.float64) for name in ("ra", "dec"))
        kind = _kinds(sources)
        chosen = _thinned(len(ra))
        axes, x, y = _projected(figure, ra, dec)
        for number, (name, colour) in enumerate(
            (("associated", ASSOCIATED), ("new objects", NEW), ("solar system", SOLAR))
        ):
            mine = chosen[kind[chosen] == number]
            label = f"{name} ({int((kind == number).sum()):,})"
            # Points as a picture: as shapes they would be most of the file.
            axes.scatter(
                x[mine], y[mine], s=3.0, color=PICTURE_COLOURS[colour], linewidths=0, label=label, rasterized=True
            )
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), markerscale=3, handletextpad=0.2)
        return svg_of(figure)


def _kinds(sources: pa.Table) -> np.ndarray:
    """Return 0 for associated, 1 for new and 2 for solar-system sources."""
    is_new = pc.fill_null(pc.equal(sources["diaSourceId"], sources["diaObjectId"]), False)
    is_solar = pc.greater(pc.fill_null(sources["ssObjectId"], 0), 0)
    return np.where(is_solar.to_numpy(), 2, np.where(is_new.to_numpy(), 1, 0))


def _thinned(n_points: int) -> np.ndarray:
    if n_points <= _MOST_POINTS:
        return np.arange(n_points)
    return np.sort(np.random.default_rng(0).choice(n_points, _MOST_POINTS, replace=False))


def _projected(figure: Figure, ra: np.ndarray, dec: np.ndarray) -> tuple[Axes, np.ndarray, np.ndarray]:
    """Return axes, and positions on them: a plane around the centre of a field, or the whole sky."""
    vectors = unit_vectors(ra, dec)
    centre = vectors.mean(axis=0)
    centre /= np.linalg.norm(centre) or 1.0
    radius = np.degrees(np.arccos(np.clip((vectors @ centre).min(), -1.0, 1.0)))
    if 2.0 * radius > _WIDEST_FIELD_DEG:
        axes = figure.add_subplot(projection="mollweide")
        x = -np.radians((ra + 180.0) % 360.0 - 180.0)
        axes.set_xticklabels([])
        axes.set_title("Whole sky, east to the left, RA 0 in the middle")
        return axes, x, np.radians(dec)
    (ra0,), (dec0,) = to_radec(centre[np.newaxis])
    # Tangent-plane coordinates, in degrees around the centre.
    lon, lat, lat0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    depth = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon)
    x = np.degrees(np.cos(lat) * np.sin(lon) / depth)
    y = np.degrees((np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon)) / depth)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    # At the left, where a screen that shows a part of the figure begins.
    axes.set_anchor("W")
    axes.invert_xaxis()
    axes.set_xlabel(f"degrees east of RA {ra0:.3f}")
    axes.set_ylabel(f"degrees north of dec {dec0:+.3f}")
    return axes, x, y
