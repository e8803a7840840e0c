"""Where a WCS puts positions of the sky, whatever frame and order of axes it is in.

Positions are ICRS, as everywhere in this package. A WCS in equatorial ICRS is
used as it is; for another frame positions are transformed by astropy first.
"""

from typing import Final

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, FK5, ICRS, BaseCoordinateFrame, FK4NoETerms, Galactic, SkyCoord
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import wcs_to_celestial_frame

from stream_assoc.core.model.types import FloatArray
from stream_assoc.photometry.exceptions import ImageUnreadableError

_FRAMES: Final = (ICRS, FK5, FK4, FK4NoETerms, Galactic)
"""Frames that turn into ICRS by what the header says alone."""

_GALACTIC: Final = ("GLON", "GLAT")
_EQUATORIAL: Final = ("RA--", "DEC-")


def frame_of(wcs: WCS) -> BaseCoordinateFrame:
    """Return the frame of a WCS.

    Raises
    ------
    ImageUnreadableError
        If its axes lead to no sky, or to a frame that cannot be turned into
        ICRS: ecliptic, of the Earth or a planet, or one that contradicts itself.
    """
    if not wcs.has_celestial or wcs.naxis != 2:
        raise ImageUnreadableError(
            "it has no WCS that leads to the sky; write CTYPE, CRVAL, CRPIX and CD or PC into the header of the image"
        )
    axes = tuple(str(wcs.wcs.ctype[axis])[:4] for axis in (wcs.wcs.lng, wcs.wcs.lat))
    system = str(wcs.wcs.radesys).strip()
    if axes not in {_EQUATORIAL, _GALACTIC}:
        raise ImageUnreadableError(
            f"its WCS is in {'/'.join(axes)}; positions can be found in RA/DEC (ICRS, FK5, FK4) and in GLON/GLAT"
        )
    try:
        frame = wcs_to_celestial_frame(wcs)
    except ValueError:
        frame = None
    if not isinstance(frame, _FRAMES):
        raise ImageUnreadableError(
            f"its WCS has RADESYS {system!r}, from which positions cannot be turned into ICRS; write ICRS, FK5 or FK4"
        )
    return frame


def pixels_of(wcs: WCS, ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the pixels of positions, zero in the middle of the first one.

    Parameters
    ----------
    wcs : `~astropy.wcs.WCS`
    ra, dec : `numpy.ndarray` [float64], shape (n,)
        ICRS, degrees.

    Returns
    -------
    x, y : `numpy.ndarray` [float64], shape (n,)
        NaN where the projection does not reach, or its distortion cannot be inverted.
    """
    longitude, latitude = _transformed(ra, dec, ICRS(), frame_of(wcs))
    world = (longitude, latitude) if wcs.wcs.lng == 0 else (latitude, longitude)
    try:
        x, y = wcs.all_world2pix(*world, 0)
    except NoConvergence as error:
        x, y = np.array(error.best_solution, np.float64).T
        for lost in (error.divergent, error.slow_conv):
            if lost is not None:
                x[lost] = y[lost] = np.nan
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def sky_of(wcs: WCS, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the positions of pixels, ICRS in degrees: the reverse of `pixels_of`."""
    world = [np.asarray(one, np.float64) for one in wcs.all_pix2world(x, y, 0)]
    return _transformed(world[wcs.wcs.lng], world[wcs.wcs.lat], frame_of(wcs), ICRS())


def _transformed(
    longitude: FloatArray, latitude: FloatArray, given: BaseCoordinateFrame, wanted: BaseCoordinateFrame
) -> tuple[FloatArray, FloatArray]:
    if isinstance(given, ICRS) and isinstance(wanted, ICRS):
        return longitude, latitude
    usable = np.isfinite(longitude) & (np.abs(latitude) <= 90.0)
    lon, lat = np.full(len(longitude), np.nan), np.full(len(latitude), np.nan)
    turned = SkyCoord(longitude[usable] * u.deg, latitude[usable] * u.deg, frame=given).transform_to(wanted)
    lon[usable], lat[usable] = turned.spherical.lon.deg, turned.spherical.lat.deg
    return lon, lat
