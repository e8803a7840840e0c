"""Errors of the daemon itself."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class DaemonError(StreamAssocError):
    """Base of the errors of the daemon."""


class MicroBatchAbandonedError(DaemonError):
    """The messages in hand are no longer this daemon's to finish.

    Their partitions were given to another member of the group, or the daemon
    is stopping and its deadline has passed. Nothing of them was committed to
    Kafka, so whoever reads them next finds in the ledger what was done.
    """


class RestartBudgetError(DaemonError, FatalError):
    """The daemon was opened anew as often as it may be, and failed each time."""


class EndsProcessError(DaemonError, PoisonError):
    """A message that was in hand when daemons died, and that ended the process in which it was tried out alone."""

    reason = "ends_process"


class TrialUndecidedError(DaemonError, RetriableError):
    """A message could not be tried out, because a service was away."""
