"""Errors of the core: what no processing can make sense of, and what no catalogue can be processed with."""

from stream_assoc.exceptions import FatalError, PoisonError, StreamAssocError


class InvalidBatchError(PoisonError):
    """A batch whose content no processing can make sense of.

    Parameters
    ----------
    message : `str`
        What is wrong and what a producer would change.
    reason : `str`
        The machine-readable cause, such as ``unknown_band``.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SchemaError(FatalError):
    """The installed ``lsst-sdm-schemas`` cannot be read as this version expects."""


class InvalidFootprintError(PoisonError):
    """The vertices of a footprint do not outline a convex piece of the sky."""

    reason = "invalid_footprint"


class InvalidPositionError(PoisonError):
    """A position is not on the sphere: ra or dec is not finite, or abs(dec) > 90."""

    reason = "invalid_position"


class InvalidLevelError(FatalError):
    """A subdivision level that the mesh does not have, or that cannot hold what is asked of it."""


class StatisticsError(StreamAssocError):
    """Base of all errors of the statistics."""


class PluginError(StatisticsError, FatalError):
    """A statistics plugin is unknown, broken, or in conflict with another one."""


class AssociationConfigError(FatalError):
    """A setting of association that no catalogue can be associated with."""


class TooManyCandidatesError(PoisonError):
    """So many sources and objects share a place that no sky explains it."""

    reason = "too_many_candidates"


class TooManyNewObjectsError(PoisonError):
    """A batch would create more DIAObjects than the settings allow."""

    reason = "quarantine"


class EntangledSourcesError(PoisonError):
    """So many sources contest the same objects that the best matching cannot be found in bounded time."""

    reason = "entangled_sources"
