"""Errors of the daemon and of its HTTP port."""

from stream_assoc.exceptions import FatalError, PoisonError, RetriableError, StreamAssocError


class DaemonError(StreamAssocError):
    """Base of the errors of the daemon."""


class MicroBatchAbandonedError(DaemonError):
    """Another daemon has to finish these messages, or the next start.

    Their partitions were given to another member of the group, or the daemon
    is stopping and its deadline has passed. Nothing of them was committed to
    Kafka, so the daemon that reads them next finds in the ledger what was done.
    """


class RestartBudgetError(DaemonError, FatalError):
    """The daemon was restarted as often as it may be, and failed each time."""


class RolledBackError(DaemonError, FatalError):
    """The APDB has lost batches whose outputs subscribers have."""


class EndsProcessError(DaemonError, PoisonError):
    """Daemons died while they processed this message, and it ended the process in which it was tried alone."""

    reason = "ends_process"


class TrialUndecidedError(DaemonError, RetriableError):
    """A message could not be tried in a process of its own, because a service was away."""


class MetricsPortError(DaemonError, FatalError):
    """The daemon cannot listen on the port that serves its metrics."""
