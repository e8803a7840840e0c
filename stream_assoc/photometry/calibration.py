"""What a header says of the units of its pixels: nJy, or counts and what a count is worth."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.units.function import FunctionUnitBase

from stream_assoc.core.model.types import Float32Array
from stream_assoc.photometry.exceptions import ImageUnreadableError

AB_ZERO_POINT_NJY: Final = 3631e9
"""The flux density of magnitude 0, nJy."""

_LOUD: Final = {"njy": "nJy", "ujy": "uJy", "jy": "Jy"}
"""Units as some write them in capitals. MJY is missing: it may be milli or mega."""

_COUNTS: Final = frozenset({"", "adu", "dn", "count", "counts", "ct", "electron", "electrons", "e-", "e"})
_RATE: Final = ("/s", "/sec", "/second")
_FAINTEST: Final = 50.0
_TOLERANCE: Final = 1e-3
"""How far, relatively, two calibrations of one image may differ before they contradict each other."""

_UNCERTAINTIES: Final[Mapping[str, tuple[int, Callable[[Float32Array], Float32Array]]]] = {
    "STDDEVUNCERTAINTY": (1, np.square),
    "VARIANCEUNCERTAINTY": (2, np.positive),
    "INVERSEVARIANCE": (-2, np.reciprocal),
}
"""Astropy's kinds of uncertainty (UTYPE): the power of the image's unit each is in, and what makes it a variance."""


def nJy_per_count(*headers: fits.Header) -> float:
    """Return what one unit of the pixels is worth, nJy.

    Parameters
    ----------
    *headers : `~astropy.io.fits.Header`
        Of the image, then of the file.

    Raises
    ------
    ImageUnreadableError
        If nothing tells; or what tells is no flux, no number, not of the AB
        system, or contradicts the rest.
    """
    for header in headers:
        if (system := str(header.get("MAGSYS", header.get("PHOTSYS", "AB"))).strip().upper()) not in {"AB", ""}:
            raise ImageUnreadableError(f"its magnitudes are of the system {system}; write zero points in AB")
    text = next((str(header["BUNIT"]).strip() for header in headers if "BUNIT" in header), "")
    told: dict[str, float] = {} if _is_counts(text) else {f"BUNIT {text!r}": _flux_unit(text)}
    for keyword, worth in _KEYWORDS.items():
        for header in headers:
            if keyword in header:
                told[keyword] = worth(_number(header, keyword))
                break
    if not told:
        raise ImageUnreadableError(
            "nothing tells its photometric calibration; write BUNIT = 'nJy', NJYPERCT, FLUXMAG0, MAGZP or PHOTZP"
        )
    (first, value), *others = told.items()
    for keyword, other in others:
        if not abs(other - value) <= _TOLERANCE * abs(value):
            raise ImageUnreadableError(
                f"{first} makes one count {value:.6g} nJy, {keyword} {other:.6g}; correct or remove one of them"
            )
    return value


def variance_of(pixels: Float32Array, header: fits.Header, image: fits.Header) -> Float32Array:
    """Return the pixels of a plane of uncertainties as variances, in the square of the image's unit.

    A plane says what it holds by UTYPE, as astropy writes it (a variance
    where it does not), and its unit by BUNIT.

    Raises
    ------
    ImageUnreadableError
        If it says that it is of another kind, or in a unit that does not fit.
    """
    kind = str(header.get("UTYPE", "VarianceUncertainty")).strip().upper()
    if kind not in _UNCERTAINTIES:
        raise ImageUnreadableError(f"its plane of uncertainties holds {kind}; write variances")
    power, variance = _UNCERTAINTIES[kind]
    unit, image_unit = str(header.get("BUNIT", "")).strip(), str(image.get("BUNIT", "")).strip()
    factor = 1.0
    # Some writers copy the image's unit to its other planes.
    if unit and unit != image_unit and (wanted := _parsed(image_unit)) is not None:
        given = _parsed(unit)
        if given is None or not given.is_equivalent(wanted**power):
            raise ImageUnreadableError(
                f"its plane of uncertainties is in {unit!r}, the image in {image_unit!r}; write both in one unit"
            )
        factor = float(given.to(wanted**power))
    with np.errstate(divide="ignore"):
        return np.asarray(variance(pixels if factor == 1.0 else pixels * np.float32(factor)), np.float32)


def _is_counts(text: str) -> bool:
    plain = text.lower().replace(" ", "")
    return any(plain.removesuffix(rate) in _COUNTS for rate in ("", *_RATE))


def _flux_unit(text: str) -> float:
    unit = _parsed(text)
    if unit is None or not unit.is_equivalent(u.nJy):
        raise ImageUnreadableError(
            f"its pixels are in BUNIT {text!r}, which is no flux; write nJy, uJy, mJy, Jy, or counts and what one is "
            "worth (NJYPERCT, FLUXMAG0, MAGZP)"
        )
    return float(unit.to(u.nJy))


def _parsed(text: str) -> u.UnitBase | None:
    """Return a unit, or none where astropy does not know it."""
    try:
        unit = u.Unit(_LOUD.get(text.lower(), text) if text else text)
    except ValueError:
        return None
    if isinstance(unit, FunctionUnitBase):
        return None
    per_pixel = unit * u.pix
    return per_pixel if per_pixel.is_equivalent(u.Jy) else unit


def _number(header: fits.Header, keyword: str) -> float:
    number: float = float(header[keyword])
    if not np.isfinite(number):
        raise ImageUnreadableError(f"its calibration {keyword} is {number}")
    return number


def _of_zero_point(magnitude: float) -> float:
    """Return nJy per count from the AB magnitude of one count."""
    if not 0.0 < magnitude <= _FAINTEST:
        raise ImageUnreadableError(f"its zero point is {magnitude}; one count is a magnitude from 0 to {_FAINTEST}")
    return AB_ZERO_POINT_NJY * math.pow(10.0, -0.4 * magnitude)


def _of_counts(counts: float) -> float:
    """Return nJy per count from the counts of magnitude 0."""
    if not counts > 0.0:
        raise ImageUnreadableError(f"FLUXMAG0, the counts of magnitude 0, must be positive, not {counts}")
    return AB_ZERO_POINT_NJY / counts


_KEYWORDS: Final[Mapping[str, Callable[[float], float]]] = {
    "NJYPERCT": float,
    "FLUXMAG0": _of_counts,
    "MAGZP": _of_zero_point,
    "PHOTZP": _of_zero_point,
}
"""Keywords that tell what a count is worth, and how."""
