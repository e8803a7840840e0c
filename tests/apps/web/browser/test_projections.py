"""The page's projections, judged by those of FITS as astropy has them."""

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.configured import configured

CALL = """
async ([name, ra, dec, centre]) => {
  const projection = await import("/static/js/projection.js");
  return ra.map((_, k) => {
    const point = projection[name](ra[k], dec[k], ...centre);
    if (point === null) return null;
    const inverse = name === "hammer" ? "inverseHammer" : "inverseGnomonic";
    return [...point, ...(projection[inverse](...point, ...centre) ?? [NaN, NaN])];
  });
}
"""
SKY = [st.lists(one, min_size=40, max_size=40) for one in (st.floats(0.0, 359.999), st.floats(-89.9, 89.9))]
CENTRES = st.tuples(st.floats(0.0, 359.0), st.floats(-89.0, 89.0))


@pytest.fixture(scope="module")
def project(browser, tmp_path_factory: pytest.TempPathFactory, empty_url):
    """Project positions in the browser, and back; NaN where there is no point."""
    from tests.apps.web.browser.conftest import Site

    context = browser.new_context()
    with Site(configured(apdb={"url": empty_url})).up() as site:
        page = context.new_page()
        page.goto(site.url)

        def project(name, ra, dec, *centre):
            points = page.evaluate(CALL, [name, ra, dec, list(centre)])
            return np.array([[np.nan] * 4 if point is None else point for point in points], np.float64)

        yield project
    context.close()


def plane(kind, ra0, dec0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{kind}", f"DEC--{kind}"]
    wcs.wcs.crval = [ra0, dec0]
    wcs.wcs.cdelt = [-1.0, 1.0]
    return wcs


def apart(ra, dec, other_ra, other_dec):
    """Separation in degrees; small angles only."""
    east = ((np.asarray(other_ra) - ra + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec))
    return np.hypot(east, np.asarray(other_dec) - dec)


@settings(max_examples=10)
@given(*SKY, st.floats(0.0, 359.0))
def test_hammer_is_the_ait_of_fits(project, ra, dec, ra0) -> None:
    x, y, back_ra, back_dec = project("hammer", ra, dec, ra0).T
    expected_x, expected_y = plane("AIT", ra0, 0.0).wcs_world2pix(ra, dec, 0)
    # FITS gives degrees at the middle of the map, and its first pixel is 1.
    scale = np.degrees(np.sqrt(2.0))
    off_edge = np.abs(((np.array(ra) - ra0) % 360.0) - 180.0) > 1e-6
    assert x[off_edge] * scale == pytest.approx((expected_x + 1.0)[off_edge], abs=1e-9)
    assert y * scale == pytest.approx(expected_y + 1.0, abs=1e-9)
    assert np.all(x**2 / 4 + y**2 <= 1 + 1e-12)
    inside = x**2 / 4 + y**2 < 1 - 1e-9
    assert apart(ra, dec, back_ra, back_dec)[inside].max(initial=0.0) < 1e-5


@settings(max_examples=10)
@given(*SKY, CENTRES)
def test_gnomonic_is_the_tan_of_fits(project, ra, dec, centre) -> None:
    x, y, back_ra, back_dec = project("gnomonic", ra, dec, *centre).T
    a, d, a0, d0 = map(np.radians, (ra, dec, *centre))
    height = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a - a0)
    assert np.array_equal(np.isnan(x), height <= 1e-6)
    near = height > 0.05
    expected = plane("TAN", *centre).wcs_world2pix(np.array(ra)[near], np.array(dec)[near], 0)
    assert x[near] == pytest.approx(expected[0] + 1.0, rel=1e-9, abs=1e-9)
    assert y[near] == pytest.approx(expected[1] + 1.0, rel=1e-9, abs=1e-9)
    assert apart(np.array(ra)[near], np.array(dec)[near], back_ra[near], back_dec[near]).max(initial=0.0) < 1e-9
