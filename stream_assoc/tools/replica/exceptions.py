"""Errors of the replica room."""

from stream_assoc.exceptions import FatalError, RetriableError


class ReplicaError(FatalError):
    """A PPDB that cannot be compared with this APDB: it is none, or may not be read."""


class ReplicaUnavailableError(RetriableError):
    """The PPDB cannot be reached, or something else holds it."""


class ReplicaBusyError(ReplicaUnavailableError):
    """The replicator has gone on since the PPDB was compared."""
