"""Errors of subscriptions."""

from dataclasses import dataclass

from stream_assoc.core.model.metrics import AssociationMetrics
from stream_assoc.core.model.positions import is_position
from stream_assoc.core.model.times import DayObs, day_obs
from stream_assoc.core.sky.vectors import separation_arcsec
from stream_assoc.tools.subscription.records import DiaObjectUpdate, ForcedSource
from stream_assoc.tools.subscription.since import SubscriptionError

_ARCSEC_PER_DEGREE = 3600.0


@dataclass(frozen=True, slots=True)
class MetricsSelection:
    """Metrics that meet every condition given.

    Attributes
    ----------
    visits, detectors : `frozenset` [`int`]
        Of one of these; empty for any.
    bands : `frozenset` [`str`]
        In one of these; empty for any.
    night : `DayObs` or `None`
        Observed in this night.
    """

    visits: frozenset[int] = frozenset()
    detectors: frozenset[int] = frozenset()
    bands: frozenset[str] = frozenset()
    night: DayObs | None = None

    def holds(self, metrics: AssociationMetrics) -> bool:
        """Tell whether a record is wanted."""
        return (
            (not self.visits or metrics.visit in self.visits)
            and (not self.detectors or metrics.detector in self.detectors)
            and (not self.bands or metrics.band in self.bands)
            and (self.night is None or day_obs(metrics.midpointMjdTai) == self.night)
        )


@dataclass(frozen=True, slots=True)
class Cone:
    """A circle on the sky.

    Attributes
    ----------
    ra, dec : `float`
        Centre, degrees; ra from -180 to 360, for what is beyond is a slip
        where somebody types it.
    radius_deg : `float`
        At most 180.

    Raises
    ------
    SubscriptionError
        If the centre is no position, or the radius is negative or more than
        half the sky.
    """

    ra: float
    dec: float
    radius_deg: float

    def __post_init__(self) -> None:
        if not (is_position(self.ra, self.dec) and -180.0 <= self.ra <= 360.0):
            raise SubscriptionError(
                f"ra {self.ra:g} dec {self.dec:g} is no position; give degrees, RA from 0 to 360, dec from -90 to 90"
            )
        if not 0.0 <= self.radius_deg <= 180.0:
            raise SubscriptionError(f"a radius of {self.radius_deg:g} is none; give degrees, from 0 to 180")

    def holds(self, ra: float, dec: float) -> bool:
        """Tell whether a position in degrees lies within."""
        separation = separation_arcsec(self.ra, self.dec, ra, dec)
        return bool(separation <= self.radius_deg * _ARCSEC_PER_DEGREE)


@dataclass(frozen=True, slots=True)
class ObjectSelection:
    """Objects that meet every condition given.

    Attributes
    ----------
    ids : `frozenset` [`int`]
        One of these; empty for any.
    cone : `Cone` or `None`
        Within this circle.
    bands : `frozenset` [`str`]
        With a mean flux in one of these; empty for any.
    """

    ids: frozenset[int] = frozenset()
    cone: Cone | None = None
    bands: frozenset[str] = frozenset()

    def holds(self, update: DiaObjectUpdate) -> bool:
        """Tell whether an update is wanted; one that tells an end has no place and no band."""
        if self.ids and update.diaObjectId not in self.ids:
            return False
        if update.has_ended:
            return self.cone is None and not self.bands
        return (self.cone is None or self.cone.holds(update.ra, update.dec)) and (
            not self.bands or not self.bands.isdisjoint(update.bands)
        )


@dataclass(frozen=True, slots=True)
class ForcedSourceSelection:
    """Forced sources that meet every condition given.

    Attributes
    ----------
    ids, visits, detectors : `frozenset` [`int`]
        Of one of these objects, visits and detectors; empty for any.
    bands : `frozenset` [`str`]
        In one of these; empty for any.
    """

    ids: frozenset[int] = frozenset()
    visits: frozenset[int] = frozenset()
    detectors: frozenset[int] = frozenset()
    bands: frozenset[str] = frozenset()

    def holds(self, source: ForcedSource) -> bool:
        """Tell whether a forced source is wanted."""
        return (
            (not self.ids or source.diaObjectId in self.ids)
            and (not self.visits or source["visit"] in self.visits)
            and (not self.detectors or source["detector"] in self.detectors)
            and (not self.bands or source["band"] in self.bands)
        )
