"""Errors of association."""

from stream_assoc.exceptions import FatalError, PoisonError


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
