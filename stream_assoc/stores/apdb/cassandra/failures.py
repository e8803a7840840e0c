"""What the driver raises, as what a caller can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from cassandra import DriverException, OperationTimedOut, RequestExecutionException, Unauthorized
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException

from stream_assoc.exceptions import reason_of
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError


class UnknownOutcomeError(ApdbUnavailableError):
    """A conditional write may have happened, or may happen yet; only another conditional write can tell."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises as what a caller can do about it."""
    try:
        yield
    except Unauthorized as error:
        raise _forbidden(error) from error
    # That of a node which is killed while it works for us is no DriverException.
    except (NoHostAvailable, DriverException, ConnectionException, OSError) as error:
        raise ApdbUnavailableError(f"Cassandra does not answer (apdb.url): {reason_of(error)}") from error


@contextmanager
def undecided() -> Iterator[None]:
    """Raise as an unknown outcome whatever leaves a conditional write without an answer."""
    try:
        yield
    except Unauthorized as error:
        raise _forbidden(error) from error
    except (OperationTimedOut, RequestExecutionException, NoHostAvailable, ConnectionException, OSError) as error:
        raise UnknownOutcomeError(f"a conditional write got no answer: {reason_of(error)}") from error
    except DriverException as error:
        raise ApdbUnavailableError(f"Cassandra refuses a conditional write: {reason_of(error)}") from error


def _forbidden(error: Unauthorized) -> ApdbConfigurationError:
    return ApdbConfigurationError(
        f"the user of apdb.url may not do on Cassandra what is needed: {reason_of(error)}; grant it, or name another"
    )
