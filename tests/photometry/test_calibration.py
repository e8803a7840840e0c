import numpy as np
import pytest
from astropy.io import fits

from stream_assoc.photometry.calibration import nJy_per_count, variance_of
from stream_assoc.photometry.exceptions import ImageUnreadableError


def of(**cards: object) -> float:
    return nJy_per_count(fits.Header(cards), fits.Header())


@pytest.mark.parametrize(
    ("unit", "worth"),
    [
        ("nJy", 1.0),
        ("NJY", 1.0),
        ("uJy", 1e3),
        ("UJY", 1e3),
        ("mJy", 1e6),
        ("Jy", 1e9),
        ("JY", 1e9),
        ("nJy / pix", 1.0),
        ("erg / (s cm2 Hz)", 1e32),
    ],
)
def test_units_of_flux(unit: str, worth: float) -> None:
    assert of(BUNIT=unit) == pytest.approx(worth, rel=1e-12)


@pytest.mark.parametrize("counts", ["", "adu", "ADU", "DN", "counts", "electron", "e-", "adu/s", "electron / s"])
@pytest.mark.parametrize(
    ("keyword", "number", "worth"),
    [
        ("NJYPERCT", 2.5, 2.5),
        ("FLUXMAG0", 3631e9 / 2.5, 2.5),
        ("MAGZP", 31.4, 3631e9 * 10 ** (-0.4 * 31.4)),
        ("PHOTZP", 26.0, 3631e9 * 10 ** (-0.4 * 26.0)),
        ("MAGZP", 22.5, 3631.0),
    ],
)
def test_counts_and_what_they_are_worth(counts: str, keyword: str, number: float, worth: float) -> None:
    cards = {keyword: number} | ({"BUNIT": counts} if counts else {})
    assert of(**cards) == pytest.approx(worth, rel=1e-9)
    assert nJy_per_count(fits.Header({"BUNIT": counts}), fits.Header({keyword: number})) == pytest.approx(worth)


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"BUNIT": "adu"},
        {"BUNIT": "MJy/sr"},
        {"BUNIT": "MJy/sr", "NJYPERCT": 1.0},
        {"BUNIT": "Jy/beam"},
        {"BUNIT": "MJY"},
        {"BUNIT": "mag(AB)"},
        {"BUNIT": "furlongs"},
        {"BUNIT": "uJy", "NJYPERCT": 1.0},
        {"BUNIT": "nJy", "MAGZP": 25.0},
        {"NJYPERCT": 1.0, "FLUXMAG0": 1e12},
        {"MAGZP": 25.0, "PHOTZP": 26.0},
        {"MAGZP": -25.0},
        {"MAGZP": 0.0},
        {"MAGZP": 1e5},
        {"MAGZP": 25.0, "MAGSYS": "Vega"},
        {"FLUXMAG0": 0.0},
    ],
)
def test_what_tells_no_flux_or_contradicts_itself_is_refused(cards: dict[str, object]) -> None:
    with pytest.raises(ImageUnreadableError):
        of(**cards)


def test_calibrations_that_agree_are_one() -> None:
    assert of(BUNIT="nJy", MAGZP=31.4000, NJYPERCT=1.0) == 1.0


def variance(image: str, **cards: object) -> float:
    (one,) = variance_of(np.array([4.0], np.float32), fits.Header(cards), fits.Header({"BUNIT": image}))
    return float(one)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, 4.0),
        ({"BUNIT": "nJy"}, 4.0),
        ({"BUNIT": "nJy2"}, 4.0),
        ({"BUNIT": "uJy2"}, 4e6),
        ({"UTYPE": "VarianceUncertainty"}, 4.0),
        ({"UTYPE": "StdDevUncertainty"}, 16.0),
        ({"UTYPE": "StdDevUncertainty", "BUNIT": "uJy"}, 16e6),
        ({"UTYPE": "InverseVariance"}, 0.25),
        ({"UTYPE": "InverseVariance", "BUNIT": "uJy-2"}, 0.25e6),
    ],
)
def test_uncertainties_become_variances(cards: dict[str, object], expected: float) -> None:
    assert variance("nJy", **cards) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "cards", [{"UTYPE": "UnknownUncertainty"}, {"BUNIT": "adu2"}, {"BUNIT": "uJy"}, {"BUNIT": "m"}]
)
def test_uncertainties_of_another_kind_are_refused(cards: dict[str, object]) -> None:
    with pytest.raises(ImageUnreadableError, match="plane of uncertainties"):
        variance("nJy", **cards)
