import numpy as np
import pytest

from stream_assoc.tools.simulation.sky import (
    FIVE_SIGMA_DEPTH,
    flux_error_njy,
    flux_njy,
    position_error_arcsec,
    rr_lyrae,
    sinusoid,
    supernova,
)


def test_the_ab_zeropoint() -> None:
    # 3631 Jy is magnitude 0; 31.4 is Rubin's rounding of 31.4009.
    assert flux_njy(np.array(0.0)) == pytest.approx(3.631e12, rel=1e-3)


@pytest.mark.parametrize("band", FIVE_SIGMA_DEPTH)
def test_at_the_depth_of_a_band_the_signal_to_noise_is_five(band) -> None:
    flux = flux_njy(np.array(FIVE_SIGMA_DEPTH[band]))
    assert flux / flux_error_njy(np.array(0.0), band) == pytest.approx(5.0)


def test_positions_get_better_with_signal_down_to_the_floor() -> None:
    error = position_error_arcsec(np.array([5.0, 50.0, 1e6]), 0.8, 0.01)
    np.testing.assert_allclose(error, [0.0966, 0.0139, 0.01], rtol=0.01)


@pytest.mark.parametrize("shape", [sinusoid, rr_lyrae])
def test_periodic_curves_have_mean_zero_and_amplitude_one(shape) -> None:
    phase = np.linspace(-3.0, 5.0, 8000, endpoint=False)
    curve = shape(phase)
    assert curve.mean() == pytest.approx(0.0, abs=1e-3)
    assert (curve.min(), curve.max()) == (pytest.approx(-1.0, abs=0.01), pytest.approx(1.0, abs=0.01))
    np.testing.assert_allclose(shape(phase + 1.0), curve, atol=1e-9)


def test_a_supernova_peaks_at_zero_with_one() -> None:
    days = np.linspace(-100.0, 300.0, 40_001)
    curve = supernova(days, np.full(days.shape, 4.0), np.full(days.shape, 25.0))
    assert curve.max() == pytest.approx(1.0)
    assert days[curve.argmax()] == pytest.approx(0.0, abs=0.02)
    assert curve[0] < 1e-6
    assert curve[-1] < 1e-4
