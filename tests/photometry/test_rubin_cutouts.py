"""The fluxes that Rubin published come out of the cutouts it published beside them.

docs/forced-photometry.md explains what differs, and why.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.measurement import Weighting, measure

pytestmark = pytest.mark.real_data


class Ratio(NamedTuple):
    """Ours over Rubin's, of a flux and of its error."""

    flux: float
    error: float


def ratios(rows, cutout, name, weighting=Weighting.UNIFORM):
    """Return a table of `Ratio`, one row a cutout."""
    return pd.DataFrame([ratio(row, cutout, name, weighting) for row in rows.to_dict("records")])


def ratio(row, cutout, name, weighting):
    exposure = read_payload(row[cutout])
    x, y = exposure.pixels_of(np.array([row["ra"]]), np.array([row["dec"]]))
    ours = measure(exposure, x, y, weighting)
    return Ratio(ours.flux[0] / row[name], ours.error[0] / row[f"{name}Err"])


@pytest.fixture(scope="module")
def rubin(shared_data: Path):
    return shared_data / "rubin"


@pytest.fixture(scope="module")
def sources(rubin):
    """The sources that fired the alerts, and the cutouts the alerts carried."""
    detections = pd.read_parquet(rubin / "sources.parquet", filters=[("_trigger", "=", True)])
    cutouts = pd.read_parquet(rubin / "cutouts.parquet")
    joined = cutouts.merge(detections.drop_duplicates("diaSourceId"), on="diaSourceId", validate="one_to_one")
    assert len(joined) == 124
    return joined


@pytest.fixture(scope="module")
def forced_sources(rubin, sources):
    """What Rubin measured on the same images at the positions of the objects."""
    forced = pd.read_parquet(rubin / "forced.parquet")
    keys = ["visit", "detector", "diaObjectId"]
    cutouts = sources[[*keys, "cutoutDifference", "cutoutScience"]]
    joined = forced.drop_duplicates(keys).merge(cutouts, on=keys)
    assert len(joined) == 29
    return joined


def within(values, limit):
    """Return the share of ratios that differ from one by less than a limit."""
    return (np.abs(values - 1.0) < limit).mean()


def test_science_fluxes(sources) -> None:
    ours = ratios(sources, "cutoutScience", "scienceFlux")
    assert ours.flux.median() == pytest.approx(1.0, abs=0.002)
    assert ours.error.median() == pytest.approx(1.0, abs=0.002)
    assert within(ours.flux, 0.035) > 0.95


def test_science_fluxes_differ_where_the_cutout_carries_another_psf_than_rubin_used(sources) -> None:
    """The error of a flux depends on the PSF and not on the star, so it tells where the PSF was another."""
    ours = ratios(sources, "cutoutScience", "scienceFlux")
    same_psf = np.abs(ours.error - 1.0) < 0.01
    assert same_psf.sum() == 86
    assert within(ours.flux[same_psf], 0.03) == 1.0
    assert within(ours.flux / ours.error, 0.03) > 0.95
    assert ours.flux.corr(ours.error) > 0.85


def test_all_cutouts_of_a_detector_carry_one_psf(sources) -> None:
    n_psfs = (
        sources.assign(psf=[read_payload(cutout).psf.images.tobytes() for cutout in sources.cutoutScience])
        .groupby(["visit", "detector"])
        .psf.agg(["size", "nunique"])
    )
    assert (n_psfs["size"] > 1).sum() == 10
    assert (n_psfs["nunique"] == 1).all()


def test_difference_fluxes_lack_the_aperture_correction_of_a_source(sources) -> None:
    """One factor on flux and error alike, and one a visit: no matter of the measurement."""
    ours = ratios(sources, "cutoutDifference", "psfFlux")
    assert ours.flux.median() == pytest.approx(1.0, abs=0.03)
    science = ratios(sources, "cutoutScience", "scienceFlux")
    factor = ours.error / science.error
    bright = np.abs(sources.psfFlux / sources.psfFluxErr) > 10.0
    assert (ours.flux / ours.error)[bright].median() == pytest.approx(1.0, abs=0.002)
    by_visit = factor.groupby(sources.visit)
    assert by_visit.median().max() - by_visit.median().min() > 0.05
    assert (by_visit.quantile(0.75) - by_visit.quantile(0.25)).median() < 0.005


def test_forced_fluxes_have_none(forced_sources) -> None:
    for cutout, name in (("cutoutDifference", "psfFlux"), ("cutoutScience", "scienceFlux")):
        ours = ratios(forced_sources, cutout, name)
        assert ours.flux.median() == pytest.approx(1.0, abs=0.005)
        assert ours.error.median() == pytest.approx(1.0, abs=0.005)


def test_weights_from_a_variance_that_holds_the_sources_photons_bias_its_flux(sources) -> None:
    ours = ratios(sources, "cutoutScience", "scienceFlux", Weighting.INVERSE_VARIANCE)
    assert 0.95 < ours.flux.median() < 0.99
