"""Errors of the geometry of the sky."""

from stream_assoc.exceptions import FatalError, PoisonError


class InvalidFootprintError(PoisonError):
    """The vertices of a footprint do not outline a convex piece of the sky."""

    reason = "invalid_footprint"


class InvalidPositionError(PoisonError):
    """A position is not on the sphere: ra or dec is not finite, or abs(dec) > 90."""

    reason = "invalid_position"


class InvalidLevelError(FatalError):
    """A subdivision level that the mesh does not have, or that cannot hold what is asked of it."""
