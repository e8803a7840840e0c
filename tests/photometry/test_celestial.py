"""Positions are put where astropy's high-level interface puts them, whatever the projection, axes and frame."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.model.types import FloatArray
from stream_assoc.photometry.celestial import frame_of, pixels_of, sky_of
from stream_assoc.photometry.exceptions import ImageUnreadableError

PIXEL = 0.2 / 3600.0
X, Y = (grid.ravel() for grid in np.meshgrid(np.linspace(-0.5, 4095.5, 5), np.linspace(-0.5, 2047.5, 4)))

FRAMES: dict[str, dict[str, object]] = {
    "none": {},
    "ICRS": {"RADESYS": "ICRS"},
    "ICRS of 2000": {"RADESYS": "ICRS", "EQUINOX": 2000.0},
    "FK5": {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "FK5 of date": {"RADESYS": "FK5", "EQUINOX": 2025.9},
    "FK5 by its equinox": {"EQUINOX": 2000.0},
    "FK4": {"RADESYS": "FK4", "EQUINOX": 1950.0},
    "FK4 by its equinox": {"EQUINOX": 1950.0},
    "FK4-NO-E": {"RADESYS": "FK4-NO-E", "EQUINOX": 1950.0},
    "galactic": {},
}
SIP: dict[str, object] = {
    **{"A_ORDER": 2, "A_2_0": 2e-6, "A_1_1": -1e-6, "A_0_2": 5e-7},
    **{"B_ORDER": 2, "B_2_0": -8e-7, "B_1_1": 1e-6, "B_0_2": 2e-6},
}


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Sky:
    """What a header is made of."""

    frame: str
    projection: str = "TAN"
    matrix: str = "CD"
    swapped: bool = False
    distorted: bool = False
    lon: float = 150.0
    lat: float = 2.0


SKIES = st.builds(
    Sky,
    frame=st.sampled_from(sorted(FRAMES)),
    projection=st.sampled_from(["TAN", "SIN", "ZEA", "ARC", "STG", "CAR", "AIT"]),
    matrix=st.sampled_from(["CD", "PC", "CROTA"]),
    swapped=st.booleans(),
    distorted=st.booleans(),
    lon=st.floats(0.0, 359.99),
    lat=st.floats(-89.0, 89.0),
)


def header(sky: Sky) -> fits.Header:
    frame, matrix, swapped, distorted = sky.frame, sky.matrix, sky.swapped, sky.distorted
    lon, lat = sky.lon, 0.0 if sky.projection in {"CAR", "AIT"} else sky.lat
    first, second = ("GLON", "GLAT") if frame == "galactic" else ("RA--", "DEC-")
    suffix = f"-{sky.projection}" + ("-SIP" if distorted else "")
    axes = [(first + suffix, lon), (second + suffix, lat)]
    (ctype1, crval1), (ctype2, crval2) = reversed(axes) if swapped else axes
    cards: dict[str, object] = {
        "CTYPE1": ctype1, "CTYPE2": ctype2, "CRVAL1": crval1, "CRVAL2": crval2, "CRPIX1": 2000.0, "CRPIX2": 1000.0,
        **FRAMES[frame],
        **(SIP if distorted else {}),
    }  # fmt: skip
    cosine, sine = PIXEL * np.cos(0.4), PIXEL * np.sin(0.4)
    if matrix == "CD":
        cards |= {"CD1_1": -cosine, "CD1_2": sine, "CD2_1": sine, "CD2_2": cosine}
    elif matrix == "PC":
        cards |= {"CDELT1": -PIXEL, "CDELT2": PIXEL, "PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8}
    else:
        cards |= {"CDELT1": -PIXEL, "CDELT2": PIXEL, "CROTA2": 23.0}
    return fits.Header(cards)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SKIES)
def test_pixels_are_astropy_s(sky: Sky) -> None:
    wcs = WCS(header(sky))
    positions = wcs.pixel_to_world(X, Y).icrs
    ra, dec = np.asarray(positions.ra.deg), np.asarray(positions.dec.deg)
    expected: tuple[FloatArray, FloatArray] = wcs.world_to_pixel(SkyCoord(ra * u.deg, dec * u.deg))
    np.testing.assert_allclose(pixels_of(wcs, ra, dec), expected, rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(pixels_of(wcs, ra, dec), (X, Y), rtol=0.0, atol=1e-2)
    our_ra, our_dec = sky_of(wcs, X, Y)
    separation = SkyCoord(our_ra * u.deg, our_dec * u.deg).separation(positions)
    assert separation.max() < 1e-9 * u.deg


def test_a_galactic_image_is_where_the_galaxy_has_it() -> None:
    wcs = WCS(header(Sky("galactic")))
    centre = SkyCoord(150.0 * u.deg, 2.0 * u.deg, frame="galactic").icrs
    x, y = pixels_of(wcs, np.array([centre.ra.deg, 150.0]), np.array([centre.dec.deg, 2.0]))
    assert (x[0], y[0]) == (pytest.approx(1999.0, abs=1e-6), pytest.approx(999.0, abs=1e-6))
    assert not (abs(x[1]) < 1e4 and abs(y[1]) < 1e4)


def test_positions_that_are_none_are_nowhere() -> None:
    for frame in ("ICRS", "galactic"):
        wcs = WCS(header(Sky(frame, swapped=True, distorted=True)))
        x, y = pixels_of(wcs, np.array([np.nan, 150.0, np.inf]), np.array([2.0, np.nan, 2.0]))
        assert np.isnan(x).all()
        assert np.isnan(y).all()


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN"},
        {"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN", "RADESYS": "ICRS"},
        {"CTYPE1": "SLON-TAN", "CTYPE2": "SLAT-TAN"},
        {"CTYPE1": "TLON-TAN", "CTYPE2": "TLAT-TAN"},
        {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"},
        {"RADESYS": "GAPPT", "MJD-OBS": 60_000.0},
        {"RADESYS": "NONSENSE"},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
    ],
)
def test_frames_that_lead_to_no_sky_are_refused(cards: dict[str, object]) -> None:
    plain = header(Sky("none"))
    plain.update(cards)
    with pytest.raises(ImageUnreadableError, match="WCS"):
        frame_of(WCS(plain))
