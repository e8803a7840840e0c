"""What a simulated survey looks like."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stream_assoc.core.model.types import BANDS

NIGHT_BEGINS: Final = 0.1
"""Fraction of the day at which observing begins, TAI."""

LONGEST_NIGHT_SECONDS: Final = 9.5 * 3600.0
"""A night that begins then ends before noon UTC, when Rubin's next night begins."""

MOST_VISITS_A_NIGHT: Final = 1000
"""Each seed has so many visit numbers of a night for itself."""


class SimulationConfig(BaseModel):
    """Parameters of a simulated survey; the same ones give the same bytes.

    The defaults are a small Rubin: 30 s exposures every 39 s, a detector of
    0.22 deg, fields seen twice in a night about 33 minutes apart in two bands,
    and some 250 detections a detector.

    Attributes
    ----------
    seed : `int`
        Seed of every random number, and of the visit numbers: surveys of different
        seeds from 0 to 98 share no visit.
    n_nights, n_visits : `int`
        Nights, and visits in each of them, at most 1,000.
    n_detectors : `int`
        Detectors of the focal plane, at most 256, filled row by row into the
        smallest square that holds them.
    n_fields : `int`
        Fields side by side, half a focal plane apart, so that they overlap.
    first_night_mjd : `int`
        Date of the first visit, UTC; each night begins at this date and 0.1. In
        Chile that is the evening before, which is the night in the visit number.
    ra, dec : `float`
        Centre of the survey, degrees.
    detector_size_deg, overlap_arcsec : `float`
        Side of a detector, and how much neighbours share.
    dither_arcsec, rotation_deg : `float`
        Largest shift of a pointing, and largest rotation of the camera.
    visit_seconds, exposure_seconds, pair_minutes : `float`
        From visit to visit, shutter open, and between the visits of a pair.
    night_bands : `tuple` [`str`, ...]
        Pairs of bands; successive nights use successive pairs.
    variables, transients, asteroids : `float`
        Number per square degree.
    artifacts : `float`
        False detections per square degree and visit.
    known_asteroids : `float`
        Fraction of the asteroids that is predicted.
    prediction_arcsec : `float`
        Standard deviation of a predicted position, each axis.
    flagged_artifacts : `float`
        Fraction of the artifacts that carries a bad-pixel flag.
    seeing_arcsec, astrometric_floor_arcsec : `float`
        FWHM, and the error of a position at infinite signal to noise.
    snr_limit : `float`
        Detections have a greater absolute signal to noise.
    image_pixels : `int`
        Pixels along a side of a detector's images; 0: no images are made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=1, ge=0)
    n_nights: int = Field(default=1, ge=1)
    n_visits: int = Field(default=100, ge=1)
    n_detectors: int = Field(default=9, ge=1, le=256)
    n_fields: int = Field(default=3, ge=1)
    first_night_mjd: int = Field(default=61_000, ge=50_000, le=80_000)
    ra: float = 150.0
    dec: float = Field(default=2.2, ge=-90.0, le=90.0)
    detector_size_deg: float = Field(default=0.22, gt=0.0, le=1.0)
    overlap_arcsec: float = Field(default=10.0, ge=0.0, le=60.0)
    dither_arcsec: float = Field(default=60.0, ge=0.0)
    rotation_deg: float = Field(default=2.0, ge=0.0)
    visit_seconds: float = Field(default=39.0, gt=0.0)
    exposure_seconds: float = Field(default=30.0, gt=0.0)
    pair_minutes: float = Field(default=33.0, gt=0.0)
    night_bands: tuple[tuple[str, str], ...] = (("g", "r"), ("r", "i"), ("i", "z"))
    variables: float = Field(default=4_000.0, ge=0.0)
    transients: float = Field(default=200.0, ge=0.0)
    asteroids: float = Field(default=200.0, ge=0.0)
    artifacts: float = Field(default=1_500.0, ge=0.0)
    known_asteroids: float = Field(default=0.8, ge=0.0, le=1.0)
    prediction_arcsec: float = Field(default=0.1, ge=0.0)
    flagged_artifacts: float = Field(default=0.6, ge=0.0, le=1.0)
    seeing_arcsec: float = Field(default=0.8, gt=0.0)
    astrometric_floor_arcsec: float = Field(default=0.01, gt=0.0)
    snr_limit: float = Field(default=5.0, gt=0.0)
    image_pixels: int = Field(default=0, ge=0, le=4096)

    @model_validator(mode="after")
    def _known_bands(self) -> Self:
        unknown = {band for pair in self.night_bands for band in pair} - set(BANDS)
        if unknown or not self.night_bands:
            raise ValueError(f"night_bands must be pairs of {', '.join(BANDS)}, not {self.night_bands}")
        return self

    @model_validator(mode="after")
    def _fits_into_a_night(self) -> Self:
        if self.n_visits > MOST_VISITS_A_NIGHT:
            raise ValueError(f"n_visits is {self.n_visits}; a simulated night has at most {MOST_VISITS_A_NIGHT}")
        seconds = self.n_visits * self.interval_seconds
        if seconds > LONGEST_NIGHT_SECONDS:
            raise ValueError(
                f"{self.n_visits} visits, one each {self.interval_seconds:.0f} s, take {seconds:.0f} s; "
                f"a night has {LONGEST_NIGHT_SECONDS:.0f} s; lower n_visits, visit_seconds or pair_minutes"
            )
        return self

    @property
    def half_block(self) -> int:
        """Visits of one half of a block, which the other half repeats in the other band."""
        visits = max(1, round(self.pair_minutes * 60.0 / self.visit_seconds))
        return min(visits, (self.n_visits + 1) // 2)

    @property
    def interval_seconds(self) -> float:
        """From visit to visit; longer in a short night, so that pairs stay as far apart as asked."""
        return max(self.visit_seconds, self.pair_minutes * 60.0 / self.half_block)

    @property
    def detectors_a_side(self) -> int:
        """Detectors along one side of the focal plane."""
        return next(side for side in range(1, 17) if side * side >= self.n_detectors)

    @property
    def pitch_deg(self) -> float:
        """Distance of neighbouring detectors."""
        return self.detector_size_deg - self.overlap_arcsec / 3600.0
